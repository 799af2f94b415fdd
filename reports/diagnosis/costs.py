"""Why a cost may look wrong: what has no price, whose prices changed, and whether costs follow from their prices."""

from __future__ import annotations

import datetime as dt

from django.db.models import F, Q

from core import figures as words
from metering.models import PriceKind, PriceVersion, Refusal
from metering.proofs.recount import Recount, recount
from metering.query.health import arrivals
from metering.query.ranges import Span
from reports.diagnosis.finding import Finding, Looked, Row, Subject, counted

# Costs that are worked out again; of more calls, those of some hours, evenly spread.
MOST_RECOUNTED = 200_000


def unpriced(subject: Subject) -> Finding:
    result = subject.run(group_by=("model",))
    said = Looked(
        "unpriced",
        "Usage without a price",
        f"{counted(result.totals.requests, 'call')} of {counted(len(result.rows), 'model')}.",
    )
    rows = [
        Row(
            row.group["model"].label or "no model",
            f"{counted(row.figures.unpriced_requests, 'call')}, {words.tokens(row.figures.unpriced_tokens)} tokens",
            subject.usage_url(model=row.group["model"].key),
        )
        for row in result.rows
        if row.figures.unpriced_requests
    ]
    if not rows:
        return said.fine(found="All of it has a price.")
    share = words.percent(words.share(result.totals.unpriced_requests, result.totals.requests))
    return said.cause(
        found=f"{counted(result.totals.unpriced_requests, 'call')} ({share}) have no price, and are in no cost.",
        advice="Give these models a price, or an alias of one that has; what was used is then priced again.",
        rows=rows,
    )


def free(subject: Subject) -> Finding:
    result = subject.run(group_by=("model",))
    said = Looked("free", "Usage that costs nothing", f"{counted(result.totals.requests, 'call')} of the range.")
    rows = [
        Row(
            row.group["model"].label or "no model",
            f"{counted(row.figures.free_requests, 'call')}, {words.tokens(row.figures.free_tokens)} tokens",
            subject.usage_url(model=row.group["model"].key),
        )
        for row in result.rows
        if row.figures.free_requests
    ]
    if not rows:
        return said.fine(found="Each call costs something or has no price.")
    return said.told(
        found=f"{counted(result.totals.free_requests, 'call')} are free: they failed, or their model's price is 0.",
        advice="Where a model should cost something, set its price.",
        rows=rows,
    )


def estimated(subject: Subject) -> Finding:
    came = arrivals(subject.organization.pk, subject.start, subject.end, subject.filters)
    said = Looked("estimated", "Costs of estimated counts", f"{counted(came.events, 'event')} of the range.")
    if not came.estimated:
        return said.fine(found="No count was estimated.")
    return said.told(
        found=f"{counted(came.estimated, 'event')} cost what was estimated, not what the provider counted.",
        advice="A correction with the provider's counts sets them right.",
        rows=(Row("The calls", "", subject.calls_url()),),
    )


def price_changes(subject: Subject) -> Finding:
    used = {row.group["model"].key for row in subject.run(group_by=("model",)).rows}
    changed = PriceVersion.published.filter(
        valid_from__gt=subject.start, valid_from__lt=subject.end, model__in=[name for name in used if name]
    ).exclude(valid_to=F("valid_from"))
    rows = [
        Row(
            version.model,
            f"{version.get_kind_display()} from {subject.day(version.valid_from)}, {version.source}",
            subject.usage_url(model=version.model),
        )
        for version in changed.order_by("valid_from", "model")
    ]
    said = Looked(
        "price_changes", "Prices that changed", f"The price book of {counted(len(used), 'model')} over the range."
    )
    if not rows:
        return said.fine(found="No price of a used model changed.")
    return said.told(
        found=f"{counted(len(rows), 'price')} began within the range: calls before and after cost differently.",
        advice="A call keeps the price of its own time; its receipt names the version.",
        rows=rows,
    )


def own_prices(subject: Subject) -> Finding:
    versions = PriceVersion.objects.filter(
        Q(valid_to=None) | Q(valid_to__gt=subject.start), organization=subject.organization, valid_from__lt=subject.end
    ).exclude(valid_to=F("valid_from"))
    rows = [
        Row(
            f"{version.provider}/{version.model}" if version.provider else version.model,
            f"{version.get_kind_display()} since {subject.day(version.valid_from)}",
            subject.usage_url(model=version.model),
        )
        for version in versions.exclude(kind=PriceKind.LIST).order_by("model", "valid_from")
    ]
    said = Looked("own_prices", "Prices of your own", "Your own prices and custom models in effect in the range.")
    if not rows:
        return said.fine(found="There are none: list prices hold.")
    return said.told(
        found=f"{counted(len(rows), 'price')} of your own stood in the place of list prices.",
        advice="Compare them with your contract.",
        rows=rows,
    )


def receipts(subject: Subject) -> Finding:
    spans, of_all = _sample(subject)
    looked, wrong, rows = 0, 0, []
    for span in spans:
        counts: Recount = recount(subject.organization.pk, span.start, span.end, subject.zone)
        looked += counts.events
        wrong += counts.wrong_cost_count
        rows += [
            Row(
                event.event_id,
                f"{event.field} is {event.found or 'unknown'}, follows from its price: {event.expected or 'unknown'}",
                subject.url("reports:call", event.event_id),
            )
            for event in counts.wrong_costs
        ]
    part = "all of the range" if of_all else f"in {counted(len(spans), 'hour')}, evenly spread over the range"
    said = Looked(
        "receipts",
        "Costs worked out again",
        f"{counted(looked, 'call')}, {part}: counts × rates of the price version that each names.",
    )
    if not wrong:
        return said.fine(found="Each stored cost is what its receipt says, to the last digit.")
    return said.cause(
        found=f"{counted(wrong, 'call')} cost something else than their receipt says.",
        advice="This must not be: tell whoever runs this installation, with the link to this page.",
        rows=rows,
        total=wrong,
    )


def _sample(subject: Subject) -> tuple[list[Span], bool]:
    """Whole range when it is small enough, else hours evenly taken from those with usage."""
    hours = [
        (row.start, row.end, row.figures.requests)
        for row in subject.run(interval="hour", order_by=("start",)).rows
        if row.figures.requests
    ]
    total = sum(count for _, _, count in hours)
    if total <= MOST_RECOUNTED:
        return [Span(subject.start, subject.end)], True
    step = -(-total // MOST_RECOUNTED)
    return [Span(start, end) for start, end, _ in hours[::step]], False


def corrected(subject: Subject) -> Finding:
    came = arrivals(subject.organization.pk, subject.start, subject.end, subject.filters)
    said = Looked("corrected", "Corrected calls", "Events of the range that others stand in the place of.")
    if not came.superseded:
        return said.fine(found="None was corrected.")
    return said.told(
        found=f"{counted(came.superseded, 'event was', 'events were')} corrected: what stands there now counts.",
        advice="A call's page names what it corrects and what corrects it.",
        rows=(Row("The calls", "", subject.calls_url()),),
    )


def conflicts(subject: Subject) -> Finding:
    days = [at.astimezone(dt.UTC).date() for at in (subject.start, subject.moment)]
    rows = Refusal.objects.filter(code="event_conflict", day__gte=days[0], day__lte=days[1])
    count = sum(rows.values_list("count", flat=True))
    said = Looked(
        "conflicts",
        "Ids that were used twice",
        "Events that were refused because their id was already stored with other content.",
    )
    if not count:
        return said.fine(found="No id came twice with different content.")
    return said.cause(
        found=f"{counted(count, 'event')} contradicted what is stored; what came first stands, with its cost.",
        advice="Give each call an id of its own; send a correction with `supersedes` where the first was wrong.",
    )
