"""What the detection hands on: something unusual, with what was expected, and the parts that sum to the difference."""

from __future__ import annotations

import datetime as dt
import enum

import msgspec

from alerts.detection.measures import Measure


class Kind(enum.StrEnum):
    """UNUSUAL is a figure out of its range; the others are facts about who uses what, and when."""

    UNUSUAL = "unusual"
    NEW_MODEL = "new_model"
    NEW_KEY = "new_key"
    DORMANT_KEY = "dormant_key"
    UNUSUAL_HOURS = "unusual_hours"
    MODEL_SWITCHED = "model_switched"


class Part(msgspec.Struct, frozen=True):
    """`key` goes back into a filter and `label` is for people; None is without a value. `is_rest`: all the others."""

    key: str | None
    label: str
    actual: int
    expected: int
    is_rest: bool = False

    @property
    def difference(self) -> int:
        return self.actual - self.expected


class Breakdown(msgspec.Struct, frozen=True):
    """The parts' differences and the remainder sum to that of the finding. `remainder` was expected of no part."""

    dimension: str
    parts: tuple[Part, ...]
    remainder: int = 0


class Finding(msgspec.Struct, frozen=True):
    """Something unusual in [period_start, period_end).

    `scope` is "organization" or a dimension, and `ref` one value of it: an entity's id, or the text of a label; 0 for
    the organization. `label` is for people. Figures are tokens, nano-dollars, requests or failed requests, sums over
    the period; `low` to `high` is what would have been usual, None where there is no range. `score` is 1 or -1 at the
    edge of the range. `requests` are all calls of the period where failed ones are told. `within` is the identity of
    a finding that says it already: a wider scope's, or the same in another measure.
    """

    kind: Kind
    scope: str
    ref: int | str
    label: str
    measure: Measure
    period_start: dt.datetime
    period_end: dt.datetime
    actual: int
    expected: int
    low: int | None
    high: int | None
    basis: str
    score: float | None
    parts: tuple[Breakdown, ...]
    text: str
    requests: int | None = None
    within: str | None = None

    @property
    def difference(self) -> int:
        return self.actual - self.expected

    @property
    def identity(self) -> str:
        """The same for as long as it goes on, and for whoever asks again."""
        start = self.period_start.strftime("%Y-%m-%dT%H:%MZ")
        return f"{self.kind}:{self.scope}:{self.ref}:{self.measure}:{start}"

    @property
    def matter(self) -> str:
        """Whose what it is. While it goes on, another measure may come to say most of it: that is the same matter."""
        of = "errors" if self.measure is Measure.ERRORS else "usage"
        return f"{self.kind}:{self.scope}:{self.ref}:{of}"
