"""/healthz: this process answers. /readyz: so do the database and Redis."""

from __future__ import annotations

from collections.abc import Callable

import redis
import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from core.errors import error_body

logger = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 2
RETRY_AFTER_SECONDS = 2


@never_cache
@require_safe
def healthz(_request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Which of the engines answer; 503 unless all of them do."""
    checks = {name: "ok" if _answers(name, ask) else "unreachable" for name, ask in CHECKS.items()}
    missing = [name for name, state in checks.items() if state != "ok"]
    if not missing:
        return JsonResponse({"status": "ok", "checks": checks})
    message = f"Cannot be reached: {', '.join(missing)}."
    body = error_body(503, "storage_unavailable", message, None, getattr(request, "id", None))
    return JsonResponse(
        {"status": "unavailable", "checks": checks, **body},
        status=503,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def _answers(name: str, ask: Callable[[], object]) -> bool:
    try:
        ask()
    except (DatabaseError, redis.RedisError, OSError) as error:
        logger.warning("not_ready", engine=name, error=str(error))
        return False
    return True


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _ask_redis() -> None:
    client = redis.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=TIMEOUT_SECONDS, socket_timeout=TIMEOUT_SECONDS
    )
    with client:
        client.ping()


CHECKS: dict[str, Callable[[], None]] = {"database": _ask_database, "redis": _ask_redis}
