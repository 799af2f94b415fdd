"""The server: `uvicorn config.demo.model.app:application`, on this machine alone."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from config.demo.model import anthropic, hooks, openai
from config.demo.model.asked import RefusedError

# Tells the demo's upstreams from those that people set up.
ROOT = "/demo-model"


async def models(request: Request) -> Response:
    return anthropic.models() if "anthropic-version" in request.headers else openai.models()


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, RefusedError):
        raise error
    if request.url.path.startswith(f"{ROOT}/v1/messages"):
        kind = "not_found_error" if error.status == 404 else "invalid_request_error"
        return JSONResponse({"type": "error", "error": {"type": kind, "message": error.message}}, error.status)
    shown = {"message": error.message, "type": "invalid_request_error", "param": None, "code": error.code}
    return JSONResponse({"error": shown}, error.status)


application = Starlette(
    routes=[
        Route(f"{ROOT}/v1/models", models),
        Route(f"{ROOT}/v1/chat/completions", openai.chat_completions, methods=["POST"]),
        Route(f"{ROOT}/v1/responses", openai.responses, methods=["POST"]),
        Route(f"{ROOT}/v1/embeddings", openai.embeddings, methods=["POST"]),
        Route(f"{ROOT}/v1/messages", anthropic.messages, methods=["POST"]),
        Route(hooks.PATH, hooks.take, methods=["POST"]),
        Route(f"{ROOT}/v1/messages/count_tokens", anthropic.count_tokens, methods=["POST"]),
    ],
    exception_handlers={RefusedError: _refused},
)
