"""What a month's own calls would have cost otherwise: every call repriced, none of it estimated.

docs/algorithms/planning.md has the order of the changes and a worked example.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import msgspec

from accounts.models import Organization
from billing.periods import Period
from core.money import FEMTOS_PER_NANO, divide_half_even
from metering.query.comparison import Replay, Target, replays_by
from metering.query.metrics import Figures
from metering.query.run import UsageRow, run
from metering.query.spec import FilterValue, UsageQuery
from reports.planning.scenario import Scenario

_GROUPS = ("team", "model", "provider")
_Key = tuple[int | str | None, ...]


class Costs(msgspec.Struct, frozen=True):
    """Exact nano-dollars of some calls: as they were, after the switch, after the change of the price as well.

    `replay` is of all calls the switch is about, as metering's comparison has it.
    """

    actual: Fraction = Fraction(0)
    switched: Fraction = Fraction(0)
    repriced: Fraction = Fraction(0)
    replay: Replay = msgspec.field(default_factory=Replay)

    def __add__(self, other: Costs) -> Costs:
        return Costs(
            self.actual + other.actual,
            self.switched + other.switched,
            self.repriced + other.repriced,
            self.replay + other.replay,
        )


class Base(msgspec.Struct, frozen=True):
    """Last month's calls: each team's costs by its id (0: no team), and the names in use, the most expensive first."""

    teams: dict[int, Costs]
    models: tuple[str, ...]
    providers: tuple[str, ...]
    figures: Figures

    @property
    def whole(self) -> Costs:
        return sum(self.teams.values(), Costs())


def base(
    organization: Organization, span: Period, scenario: Scenario, target: Target | None, teams: Sequence[int] | None
) -> Base:
    """`target` is what `scenario.to` names. `teams` narrows it to some; None is everybody's. Needs the scope."""
    query = _query(organization, span, {} if teams is None else {"team": tuple(teams)})
    result = run(msgspec.structs.replace(query, group_by=_GROUPS, order_by=("-cost_usd",)))
    replays: dict[_Key, Replay] = {}
    if target is not None and scenario.is_switch:
        narrowed = msgspec.structs.replace(query, filters={**query.filters, "model": (scenario.model,)})
        replays = replays_by(narrowed, _GROUPS, target)
    found: dict[int, Costs] = {}
    for row in result.rows:
        team = row.group["team"]
        if isinstance(team.ref, int):
            found[team.ref] = found.get(team.ref, Costs()) + _costs(row, scenario, target, replays)
    return Base(found, _in_use(result.rows, "model"), _in_use(result.rows, "provider"), result.totals)


def _query(organization: Organization, span: Period, filters: Mapping[str, tuple[FilterValue, ...]]) -> UsageQuery:
    start, end = span.instants(organization.zone)
    return UsageQuery(organization.pk, start, end, organization.zone, filters=filters)


def _costs(row: UsageRow, scenario: Scenario, target: Target | None, replays: Mapping[_Key, Replay]) -> Costs:
    """Of one team's calls of one model at one provider."""
    actual, share = Fraction(row.figures.known_cost_nanos), Fraction(scenario.share, 100)
    replay = replays.get(tuple(row.group[name].ref for name in _GROUPS), Replay())
    stays = actual - share * replay.now_nanos
    # With calls that have no price now, and would have one.
    moves = share * Fraction(replay.femtos + replay.new_femtos, FEMTOS_PER_NANO)
    changed, same = 1 + Fraction(scenario.change, 100), Fraction(1)
    here = changed if scenario.concerns(row.group["model"].key, row.group["provider"].key) else same
    is_there = target is not None and scenario.concerns(target.version.model, target.version.provider)
    there = changed if is_there else same
    return Costs(actual, stays + moves, stays * here + moves * there, replay)


def _in_use(rows: Sequence[UsageRow], dimension: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for row in rows if (key := row.group[dimension].key) is not None))


def scaled(nanos: int, costs: Costs, scenario: Scenario) -> int:
    """A forecast as it would be: by what last month's calls would have cost instead, and by the growth.

    Of usage that cost nothing last month only the growth is known.
    """
    factor = (costs.repriced / costs.actual if costs.actual else Fraction(1)) * (1 + Fraction(scenario.growth, 100))
    product = nanos * factor
    return divide_half_even(product.numerator, product.denominator)


def whole_nanos(cost: Fraction) -> int:
    return divide_half_even(cost.numerator, cost.denominator)
