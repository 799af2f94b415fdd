"""How well tokens are used, against targets: shape of the answers, size of the calls, empty answers, caches, errors.

docs/algorithms/efficiency.md has each definition and its target.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from fractions import Fraction
from typing import TypeVar

import msgspec

from metering.query.labels import GroupValue
from metering.query.metrics import Figures
from metering.query.rate_parts import ANSWERS, KINDS
from metering.query.run import UsageRow, run
from metering.query.spec import UsageQuery

Group = int | str | None
K = TypeVar("K")


class Answers(msgspec.Struct, frozen=True):
    """Calls that ought to have an answer, and those of them that had none.

    Calls that failed, or whose usage nobody told, are neither; nor are those of models that never answer.
    """

    expected: int = 0
    empty: int = 0

    def __add__(self, other: Answers) -> Answers:
        return Answers(self.expected + other.expected, self.empty + other.empty)


class Basis(msgspec.Struct, frozen=True):
    """What ratios of tokens divide by: of models that do not write or have no tokens there is nothing to judge.

    `prompt_tokens` of models that write texts, `requests` of models that have tokens at all.
    """

    prompt_tokens: int = 0
    requests: int = 0

    def __add__(self, other: Basis) -> Basis:
        return Basis(self.prompt_tokens + other.prompt_tokens, self.requests + other.requests)


class Measured(msgspec.Struct, frozen=True):
    figures: Figures
    answers: Answers
    basis: Basis


class Indicator(msgspec.Struct, frozen=True):
    """A ratio and its target: at least `least`, at most `most` (below, when `is_below`)."""

    key: str
    label: str
    unit: str
    of: Callable[[Measured], Fraction | None]
    least: Fraction | None = None
    most: Fraction | None = None

    def meets(self, measured: Measured) -> bool | None:
        """None when there is nothing to judge."""
        value = self.of(measured)
        if value is None:
            return None
        return (self.least is None or value >= self.least) and (
            self.most is None or (value <= self.most if self.least is not None else value < self.most)
        )


def _share(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


INDICATORS = {
    indicator.key: indicator
    for indicator in (
        Indicator(
            "completion_ratio", "Completion to prompt", "ratio",
            lambda m: _share(m.figures.completion_tokens, m.basis.prompt_tokens), Fraction(3, 2), Fraction(3),
        ),
        Indicator(
            "average_tokens", "Tokens per request", "tokens",
            lambda m: _share(m.figures.total_tokens, m.basis.requests), None, Fraction(1000),
        ),
        Indicator(
            "empty_answers", "Empty answers", "percent",
            lambda m: _share(m.answers.empty, m.answers.expected), None, Fraction(1, 100),
        ),
        Indicator(
            "cache_read_share", "Read from caches", "percent",
            lambda m: _share(m.figures.cache_read, m.figures.prompt_tokens), Fraction(1, 5), None,
        ),
        Indicator(
            "error_share", "Errors", "percent",
            lambda m: _share(m.figures.errors, m.figures.requests), None, Fraction(1, 100),
        ),
    )
}  # fmt: skip


class Efficiency(msgspec.Struct, frozen=True):
    """`groups` by the dimension asked for, most tokens first; `buckets` by time. `silent` models never answer."""

    whole: Measured
    groups: tuple[tuple[GroupValue, Measured], ...]
    buckets: tuple[tuple[UsageRow, Measured], ...]
    silent: tuple[str, ...]


def find_efficiency(query: UsageQuery, by: str) -> Efficiency:
    """Of a query's range and filters, in groups of `by` and by the query's interval."""
    plain = msgspec.structs.replace(query, group_by=(), order_by=(), limit=None, cursor=None)
    series = run(plain)
    groups = run(msgspec.structs.replace(plain, interval=None, group_by=(by,))).rows
    # Which calls had an answer: by model, because some never do, and by what the groups are told apart by.
    names = tuple(dict.fromkeys(("model", by)))
    rows = run(msgspec.structs.replace(plain, group_by=(*names, KINDS))).rows
    speaking = {_ref(row, "model") for row in rows if _answered(row)}
    writing = {_ref(row, "model") for row in rows if row.figures.completion_tokens}
    counted = {_ref(row, "model") for row in rows if row.figures.total_tokens}
    of_groups: dict[Group, Answers] = {}
    of_buckets: dict[dt.datetime, Answers] = {}
    group_bases: dict[Group, Basis] = {}
    bucket_bases: dict[dt.datetime, Basis] = {}
    silent: dict[str, None] = {}
    for row in rows:
        basis = Basis(
            row.figures.prompt_tokens if _ref(row, "model") in writing else 0,
            row.figures.requests if _ref(row, "model") in counted else 0,
        )
        group_bases[_ref(row, by)] = group_bases.get(_ref(row, by), Basis()) + basis
        bucket_bases[row.start] = bucket_bases.get(row.start, Basis()) + basis
        if _ref(row, "model") not in speaking:
            if row.figures.requests > row.figures.errors:
                silent[row.group["model"].label or "no model"] = None
            continue
        answers = _answers(row)
        of_groups[_ref(row, by)] = of_groups.get(_ref(row, by), Answers()) + answers
        of_buckets[row.start] = of_buckets.get(row.start, Answers()) + answers
    return Efficiency(
        Measured(series.totals, sum(of_groups.values(), Answers()), sum(group_bases.values(), Basis())),
        tuple((row.group[by], _of(row, _ref(row, by), of_groups, group_bases)) for row in groups),
        tuple((row, _of(row, row.start, of_buckets, bucket_bases)) for row in series.rows),
        tuple(sorted(silent)),
    )


def _of(row: UsageRow, key: K, answers: dict[K, Answers], bases: dict[K, Basis]) -> Measured:
    return Measured(row.figures, answers.get(key, Answers()), bases.get(key, Basis()))


def _ref(row: UsageRow, name: str) -> Group:
    return row.group[name].ref


def _answered(row: UsageRow) -> bool:
    kinds = row.group[KINDS].ref
    return isinstance(kinds, int) and bool(kinds & ANSWERS)


def _answers(row: UsageRow) -> Answers:
    figures = row.figures
    expected = figures.requests - figures.errors - figures.unknown_requests
    return Answers(expected, 0 if _answered(row) else expected)
