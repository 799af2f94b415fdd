"""Pages into PDF/A-3, to be printed in twenty years as today. Nothing is fetched but our own static files."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from urllib.parse import unquote

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from weasyprint import HTML
from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse

_BASE = "file:///static/"


class _OwnFiles(URLFetcher):  # type: ignore[misc]
    """An address below `_BASE` is the static file of that name; any other one ends the rendering."""

    def fetch(self, url: str, headers: dict[str, str] | None = None) -> URLFetcherResponse:  # noqa: ARG002
        found = finders.find(unquote(url.removeprefix(_BASE))) if url.startswith(_BASE) else None
        if not isinstance(found, str):
            raise FatalURLFetchingError(f"a document asks for {url}, which is no file of ours")
        kind = mimetypes.guess_type(found)[0] or "application/octet-stream"
        return URLFetcherResponse(url, Path(found).read_bytes(), {"Content-Type": kind})


def render_pdf(template: str, context: dict[str, object]) -> bytes:
    """The template as PDF/A-3a, tagged for screen readers. Its addresses are relative to the static files."""
    page = HTML(string=render_to_string(template, context), base_url=_BASE, url_fetcher=_OwnFiles())
    return bytes(page.write_pdf(pdf_variant="pdf/a-3a", pdf_tags=True))
