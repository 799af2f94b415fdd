"""{% field form.name %}: one form field in the product's looks, with its label, help and errors tied to it."""

from typing import Any

from django import forms, template
from django.forms.boundfield import BoundField

register = template.Library()

# How a widget is drawn, most specific first.
KINDS: tuple[tuple[type[forms.Widget], str], ...] = (
    (forms.HiddenInput, "hidden"),
    (forms.RadioSelect, "group"),
    (forms.CheckboxSelectMultiple, "group"),
    (forms.CheckboxInput, "check"),
    (forms.Select, "select"),
)
CLASSES = {"check": "form-check-input", "select": "form-select", "control": "form-control", "group": "form-check-input"}


def kind_of(widget: forms.Widget) -> str:
    return next((kind for widget_class, kind in KINDS if isinstance(widget, widget_class)), "control")


@register.inclusion_tag("components/field.html")
def field(
    bound: BoundField, label: str = "", help_text: str = "", hide_label: bool = False, placeholder: str | None = None
) -> dict[str, Any]:
    """`label`, `help_text` and `placeholder` replace the form's own words where a page knows better ones."""
    kind = kind_of(bound.field.widget)
    invalid = "is-invalid" if bound.errors else ""
    given = bound.field.widget.attrs.get("class", "")
    attributes: dict[str, str | bool] = {"class": " ".join(filter(None, [given, CLASSES.get(kind, ""), invalid]))}
    if placeholder is not None:
        attributes["placeholder"] = placeholder
    return {
        "bound": bound,
        "kind": kind,
        "widget": "" if kind == "group" else bound.as_widget(attrs=attributes),
        "options": bound.subwidgets if kind == "group" else [],
        "label": label or bound.label,
        "help_text": help_text or bound.help_text,
        "hide_label": hide_label,
    }
