"""What is answered where no view answers: JSON in the contract's shape to programs, a page to people."""

from __future__ import annotations

import sys
from http import HTTPStatus

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import TemplateDoesNotExist
from django.template.loader import select_template
from django.views.decorators.csrf import csrf_exempt

from core.errors import ApiError, error_body, storage_refusal

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
    """Django calls this while it handles the exception. A storage that is away is no mistake of ours."""
    refusal = storage_refusal(sys.exception())
    return answer(request, 500) if refusal is None else refused(request, refusal)


def refused(request: HttpRequest, refusal: ApiError) -> HttpResponse:
    """What a page answers when the domain refuses what its address asks for."""
    response = answer(request, refusal.status, refusal.message, code=refusal.code, param=refusal.param)
    if refusal.retry_after is not None:
        response["Retry-After"] = str(refusal.retry_after)
    return response


def answer(
    request: HttpRequest, status: int, message: str = "", *, code: str | None = None, param: str | None = None
) -> HttpResponse:
    message = message or _MESSAGES[status]
    request_id = getattr(request, "id", None)
    if is_for_programs(request):
        return JsonResponse(error_body(status, code or _CODES[status], message, param, request_id), status=status)
    try:
        template = select_template([f"{status}.html", "errors/refused.html"] if status < 500 else [f"{status}.html"])
    except TemplateDoesNotExist:
        title = HTTPStatus(status).phrase
        return HttpResponse(f"{status} {title}\n{message}\n", status=status, content_type="text/plain; charset=utf-8")
    # Without the request's context processors: they ask the database, which may be what has failed.
    context = {"request": request, "status": status, "code": code, "message": message, "request_id": request_id}
    return HttpResponse(template.render(context), status=status)
