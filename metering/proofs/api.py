"""What the API answers = the events: its real views, asked as a client asks them, in this process."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.utils.timezone import now
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.keys import KeyGrant
from accounts.models import Scope
from core.periods import local_day
from metering.proofs.exports import SUMMED, Sums, add, sums_of, unequal
from metering.proofs.subject import CheckResult, Difference, Subject, result
from metering.query.api import ModelsView, QueryView, UsageView
from metering.query.metrics import Figures
from metering.query.summary_api import HourlyView, SummaryView

_ONE_DAY = dt.timedelta(days=1)
_COUNTS = ("requests", "prompt_tokens", "completion_tokens", "total_tokens")


class AnswerError(Exception):
    """The API refused to answer."""


class Client:
    """Asks views on behalf of an organization, with a grant instead of a key. Needs the organization's scope."""

    def __init__(self, organization_id: int) -> None:
        grant = KeyGrant(organization_id, 0, "proof", frozenset({Scope.USAGE_READ.value}), None, None, None, None)

        class Granted(BaseAuthentication):
            def authenticate(self, _request: Request) -> tuple[None, KeyGrant]:
                return None, grant

        self._authentication = [Granted]
        self.asked = 0

    def get(self, view: Any, **params: str) -> dict[str, Any]:
        request = HttpRequest()
        request.method = "GET"
        request.path = "/"
        request.META |= {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "QUERY_STRING": ""}
        given = QueryDict(mutable=True)
        given.update(params)
        request.GET = given  # type: ignore[assignment]
        handler: Callable[[HttpRequest], HttpResponseBase] = view.as_view(authentication_classes=self._authentication)
        answer: Any = handler(request)
        answer.render()
        self.asked += 1
        if answer.status_code != 200:
            raise AnswerError(answer.content.decode())
        body: dict[str, Any] = json.loads(answer.content)
        return body


def check(subject: Subject) -> CheckResult:
    client, counted = Client(subject.organization_id), subject.recount
    last = local_day(subject.end, subject.zone) - _ONE_DAY
    period = {"from": f"{subject.month}", "to": f"{last}", "timezone": subject.zone.key}
    expected = sums_of(counted.figures)
    counts = {name: expected[name] for name in _COUNTS}
    differences: list[Difference] = []

    queried = client.get(QueryView, **period, interval="day", metrics=",".join(SUMMED))
    differences += unequal("/v1/usage/query, totals", expected, _sums([queried["totals"]], SUMMED))
    differences += unequal("/v1/usage/query, days", expected, _sums(queried["data"], SUMMED))

    usage = client.get(UsageView, **period)
    told = {"requests": usage["total_requests"], **{name: usage[name] for name in _COUNTS[1:]}}
    differences += unequal("/v1/usage", counts, _sums([told], _COUNTS))
    if counted.figures.is_cost_known:
        cost = _sums([{"cost_usd": usage["total_cost_usd"]}], ("cost_usd",))
        differences += unequal("/v1/usage", {"cost_usd": expected["cost_usd"]}, cost)
    days = [{"requests": day["requests"], "total_tokens": day["tokens"]} for day in usage["daily_breakdown"]]
    # Its days end with today; an event may be a few minutes ahead of it.
    today = local_day(now(), subject.zone)
    passed = sums_of(sum((figures for day, figures in counted.days.items() if day <= today), Figures()))
    differences += unequal(
        "/v1/usage, daily_breakdown",
        {name: passed[name] for name in ("requests", "total_tokens")},
        _sums(days, ("requests", "total_tokens")),
    )

    models = client.get(ModelsView, **period)["data"]
    names = subject.labels(counted.models)
    for model, figures in counted.models.items():
        differences += _of_model(names.get(model, ""), figures, models)

    summary = client.get(SummaryView, **period)["summary"]
    told = {**summary, "requests": summary["requests"]}
    differences += unequal("/api/usage/summary", counts, _sums([told], _COUNTS))

    hours: list[dict[str, Any]] = []
    day = subject.month
    while day <= last:
        hours += client.get(HourlyView, date=f"{day}", timezone=subject.zone.key)["data"]
        day += _ONE_DAY
    differences += unequal("/api/usage/hourly, every day", counts, _sums(hours, _COUNTS))
    return result(
        "api", "The API's answers (usage, query, models, summary, hours)", client.asked, "answers", differences
    )


def _of_model(name: str, figures: Figures, models: list[dict[str, Any]]) -> list[Difference]:
    own = [row for row in models if row["model"] == name]
    sums = sums_of(figures)
    wanted = {count: sums[count] for count in _COUNTS}
    differences = unequal(f"/v1/usage/models, {name}", wanted, _sums(own, _COUNTS))
    if all(row["cost_usd"] is not None for row in own):
        cost = _sums(own, ("cost_usd",))
        differences += unequal(f"/v1/usage/models, {name}", {"cost_usd": sums["cost_usd"]}, cost)
    return differences


def _sums(rows: list[dict[str, Any]], names: tuple[str, ...]) -> Sums:
    sums: Sums = {}
    for row in rows:
        for name in names:
            add(sums, name, row[name])
    return sums
