"""Rooms of chat programs: Slack, Microsoft Teams, Mattermost, and what takes the same messages.

rooms       set up by the organization's administrators
payloads    a letter → the JSON each of them takes
addressing  a fact → rows of what is to be sent
"""
