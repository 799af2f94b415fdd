"""Which findings say again what another one says: a wider scope's, or the same in another measure.

Nothing is left out, because a rule may ask for the narrow one alone; whoever tells people leaves out what is `within`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from alerts.detection.finding import Finding, Kind
from alerts.detection.measures import Measure
from alerts.detection.usage_hours import ORGANIZATION

# The measure that says most comes first, and the widest scope.
_MEASURES = (Measure.COST, Measure.TOKENS, Measure.REQUESTS, Measure.ERRORS)
_SCOPES = (ORGANIZATION, "api_key", "model")


def fold(findings: Sequence[Finding]) -> list[Finding]:
    """The leading ones first, then by scope and measure."""
    leading: list[Finding] = []
    folded: list[Finding] = []
    for finding in sorted(findings, key=_rank):
        wider = next((one for one in leading if _says(one, finding)), None)
        if wider is None:
            leading.append(finding)
        else:
            folded.append(msgspec.structs.replace(finding, within=wider.identity))
    return [*leading, *folded]


def _rank(finding: Finding) -> tuple[object, ...]:
    scope = _SCOPES.index(finding.scope) if finding.scope in _SCOPES else len(_SCOPES)
    is_fact = finding.kind is not Kind.UNUSUAL
    return is_fact, scope, _MEASURES.index(finding.measure), str(finding.ref), finding.kind, finding.period_start


def _says(one: Finding, other: Finding) -> bool:
    if one.kind is not Kind.UNUSUAL or (one.measure is Measure.ERRORS) != (other.measure is Measure.ERRORS):
        return False
    if one.period_end <= other.period_start or other.period_end <= one.period_start:
        return False
    if other.kind is Kind.UNUSUAL_HOURS:
        return one.scope == ORGANIZATION and one.difference > 0
    if other.kind is not Kind.UNUSUAL or (one.difference > 0) != (other.difference > 0):
        return False
    if (one.scope, one.ref) == (other.scope, other.ref) or one.scope == ORGANIZATION:
        return True
    return one.scope == "api_key" and other.scope == "model" and _is_driven_by(other, one)


def _is_driven_by(finding: Finding, key: Finding) -> bool:
    """Whether half of a model's difference or more is that of a key's calls."""
    of_keys = next((one for one in finding.parts if one.dimension == "api_key"), None)
    if of_keys is None:
        return False
    own = sum(part.difference for part in of_keys.parts if part.label == key.label and not part.is_rest)
    return abs(own) * 2 >= abs(finding.difference) and own * finding.difference > 0
