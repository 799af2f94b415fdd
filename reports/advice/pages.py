"""/o/<organization>/advice/: what is worth changing, why, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import act_and_return, to
from core import figures
from core.csvcells import csv_text
from core.errors import ApiError
from core.money import usd_text
from core.tenancy import organization_scope
from metering.query.export_api import download
from metering.tasks import enqueue
from reports.advice import acting, kind_of, records, rounds
from reports.advice.listing import CALLS, PIECES, days_of, follow_up, insight_row, piece_rows
from reports.advice.reach import ACTS, Reach
from reports.advice.tasks import look_for_advice
from reports.models import AdviceRound, Insight, InsightState

# It weighs everybody's usage together.
sees_advice = require(Right.SEE_USAGE)
acts = require(ACTS)

PIECES_A_PAGE = 50
CSV_ROWS = 2_000
_STATES = {**{state.value: state.label for state in InsightState}, "all": "All"}


@require_safe
@never_cache
@sees_advice
def index(request: OrganizationRequest) -> HttpResponse:
    """`?state=&kind=` choose; what is open unless said otherwise."""
    reach, at = Reach.of(request.role), now()
    state = _chosen(request, "state", _STATES, InsightState.OPEN.value)
    kind = _chosen(request, "kind", reach.kinds, "")
    every = list(records.seen(reach))
    rows = [one for one in every if (state in ("all", one.state)) and kind in ("", one.kind)]
    last: AdviceRound | None = AdviceRound.objects.first()
    realized = [nanos for one in every if (nanos := one.realized_nanos) is not None]
    context = {
        "page": {"title": "Advice"},
        "rows": [insight_row(one, request.organization) for one in rows],
        "states": [_option("state", key, label, state, kind=kind) for key, label in _STATES.items()],
        "state_label": _STATES[state],
        "kinds": [
            _option("kind", name, label, kind, state=state)
            for name, label in {"": "All", **{name: kind_of(name).label for name in reach.kinds}}.items()
        ],
        "kind_label": kind_of(kind).label if kind else "all",
        "is_filtered": bool(kind) or state != InsightState.OPEN,
        "open_count": sum(one.state == InsightState.OPEN for one in every),
        "done_count": sum(one.state == InsightState.DONE for one in every),
        "realized": sum(realized) if realized else None,
        "round": last,
        "together_share": figures.share(last.together_nanos, last.cost_nanos) if last else None,
        "days": days_of(last.starts_at, last.ends_at, request.organization)
        if last and last.starts_at and last.ends_at
        else None,
        "is_looking": last is not None and last.asked_at is not None and last.asked_at > at - rounds.PATIENCE,
        "failed": [kind_of(name).label for name in last.failed if name in reach.kinds] if last else [],
        "looked_for": [kind_of(name) for name in reach.kinds],
        "may_act": reach.acts,
    }
    return render(request, "reports/advice.html", context)


@require_POST
@acts
def look(request: OrganizationRequest) -> HttpResponse:
    if rounds.ask(request.organization.pk, now()):
        enqueue(look_for_advice, request.organization.pk)
    else:
        messages.info(request, "The calls are being looked through already.")
    return redirect(to(request, "reports:advice"))


@require_safe
@sees_advice
def detail(request: OrganizationRequest, insight: int) -> HttpResponse:
    """`?from=` is the number of the first piece of evidence."""
    reach = Reach.of(request.role)
    found = _insight(insight, reach)
    kind = kind_of(found.kind)
    first = _first(request, found)
    pieces = list(records.evidence_of(found, first, PIECES_A_PAGE))
    context = {
        "page": {"title": found.title},
        "row": insight_row(found, request.organization),
        "insight": found,
        "kind": kind,
        "pieces": piece_rows(found, pieces, request.organization),
        "is_of_calls": kind.evidence == CALLS,
        "piece_label": PIECES[kind.evidence][1],
        "has_costs": found.now_nanos is not None,
        "has_savings": found.would_nanos is not None,
        "saved": None if found.now_nanos is None or found.would_nanos is None else found.now_nanos - found.would_nanos,
        "first": first + 1,
        "last": first + len(pieces),
        "earlier_url": f"?from={max(0, first - PIECES_A_PAGE)}" if first else None,
        "later_url": f"?from={first + PIECES_A_PAGE}" if first + len(pieces) < found.evidence_count else None,
        "csv_url": to(request, "reports:insight-evidence", found.pk),
        "follow_up": follow_up(found, request.organization),
        "may_act": reach.acts,
    }
    return render(request, "reports/insight.html", context)


@require_safe
@sees_advice
def evidence(request: OrganizationRequest, insight: int) -> HttpResponseBase:
    """All of it, exact: what each piece costs now, what it would, and what that saves."""
    found = _insight(insight, Reach.of(request.role))
    name = f"{request.organization.slug}-{found.kind}-{found.pk}.csv"
    return download(request, _csv(found), "text/csv; charset=utf-8", name)


def _csv(insight: Insight) -> Iterator[bytes]:
    column = "event_id" if kind_of(insight.kind).evidence == CALLS else PIECES[kind_of(insight.kind).evidence][0]
    yield csv_text([(column, "at", "cost_usd", "would_cost_usd", "saved_usd", "note")]).encode()
    for first in range(0, insight.evidence_count, CSV_ROWS):
        with organization_scope(insight.organization_id):
            pieces = list(records.evidence_of(insight, first, CSV_ROWS))
        yield csv_text(
            (
                piece.id,
                piece.at.isoformat(),
                usd_text(piece.now_nanos),
                usd_text(piece.would_nanos),
                usd_text(
                    None
                    if piece.now_nanos is None or piece.would_nanos is None
                    else piece.now_nanos - piece.would_nanos
                ),
                piece.note,
            )
            for piece in pieces
        ).encode()


@require_POST
@acts
def dismiss(request: OrganizationRequest, insight: int) -> HttpResponse:
    reason = request.POST.get("reason", "")
    return _settle(
        request, insight, lambda one, reach: acting.dismiss(one, reason, reach, by=request.actor), "Dismissed."
    )


@require_POST
@acts
def done(request: OrganizationRequest, insight: int) -> HttpResponse:
    return _settle(
        request,
        insight,
        lambda one, reach: acting.mark_done(one, reach, by=request.actor),
        "Done. What it saves is measured from tomorrow on.",
    )


@require_POST
@acts
def reopen(request: OrganizationRequest, insight: int) -> HttpResponse:
    return _settle(request, insight, lambda one, reach: acting.open_again(one, reach, by=request.actor), "Open again.")


def _settle(
    request: OrganizationRequest, insight_id: int, act: Callable[[Insight, Reach], Any], said: str
) -> HttpResponse:
    reach = Reach.of(request.role)
    found = _insight(insight_id, reach)

    def settle() -> None:
        act(found, reach)

    return act_and_return(request, settle, to(request, "reports:insight", found.pk), said)


def _insight(insight_id: int, reach: Reach) -> Insight:
    try:
        return records.find_insight(insight_id, reach)
    except ApiError as error:
        raise Http404 from error


def _first(request: OrganizationRequest, insight: Insight) -> int:
    given = request.GET.get("from", "0")
    if not (given.isascii() and given.isdigit() and len(given) < 10 and int(given) < insight.evidence_count):
        raise Http404
    return int(given)


def _chosen(request: OrganizationRequest, name: str, known: Any, default: str) -> str:
    given = request.GET.get(name, default)
    if given != default and given not in known:
        raise Http404
    return given


def _option(name: str, value: str, label: str, current: str, **others: str) -> dict[str, Any]:
    given = {key: one for key, one in {**others, name: value}.items() if one}
    return {"label": label, "url": f"?{urlencode(given)}", "is_current": value == current}
