"""{% icon "bell" %}: a drawing from static/icons.svg, hidden from screen readers unless it has a label."""

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def icon(name: str, label: str = "", classes: str = "") -> SafeString:
    """An icon beside words needs no label; an icon instead of words does."""
    meaning = format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"')
    return format_html(
        '<svg class="tl-icon{}" {}><use href="{}#{}"/></svg>',
        f" {classes}" if classes else "",
        meaning,
        static("icons.svg"),
        name,
    )
