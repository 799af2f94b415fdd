from django import forms


class OrganizationSignupForm(forms.Form):
    def signup(self, request, user):
        pass
