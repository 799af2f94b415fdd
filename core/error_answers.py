"""What is answered where no view answers: JSON in the contract's shape to programs, a page to people."""

from __future__ import annotations

from http import HTTPStatus

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template import TemplateDoesNotExist
from django.views.decorators.csrf import csrf_exempt

from core.errors import error_body

API_PREFIXES = ("/v1/", "/api/")

_CODES = {400: "malformed_request", 403: "forbidden", 404: "not_found", 500: "internal_error"}
_MESSAGES = {
    400: "The request cannot be read.",
    403: "This is not allowed.",
    404: "Nothing here by that name, or it is not yours.",
    500: "This is our mistake. It has been noted.",
}


def is_for_programs(request: HttpRequest) -> bool:
    return request.path.startswith(API_PREFIXES)


@csrf_exempt
def unknown_endpoint(request: HttpRequest) -> HttpResponse:
    """The last pattern below the API's prefixes, so that a wrong path reads the same with DEBUG on."""
    return answer(request, 404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    # A SuspiciousOperation may quote what was sent; the words of others are meant for people.
    return answer(request, 400, "" if isinstance(exception, SuspiciousOperation) else str(exception))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(request, 403, str(exception))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    return answer(request, 404)


def failed(request: HttpRequest) -> HttpResponse:
    return answer(request, 500)


def answer(request: HttpRequest, status: int, message: str = "") -> HttpResponse:
    message = message or _MESSAGES[status]
    request_id = getattr(request, "id", None)
    if is_for_programs(request):
        return JsonResponse(error_body(status, _CODES[status], message, None, request_id), status=status)
    try:
        context = {"status": status, "message": message, "request_id": request_id}
        return render(request, f"{status}.html", context, status=status)
    except TemplateDoesNotExist:
        title = HTTPStatus(status).phrase
        return HttpResponse(f"{status} {title}\n{message}\n", status=status, content_type="text/plain; charset=utf-8")
