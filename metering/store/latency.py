"""How long calls took, in buckets that grow with the time: a histogram from which any percentile can be read.

Eight buckets a doubling; up to 11 ms each whole millisecond has its own. docs/algorithms/latency.md says how far a
percentile read from them may be from the true one, and why they are kept so.
"""

from __future__ import annotations

import math

from metering.events import MAX_COUNT

A_DOUBLING = 8
# Milliseconds at which buckets begin; bucket number n, from 1, is [BOUNDS[n - 1], BOUNDS[n]), the last up to MAX_COUNT.
BOUNDS: tuple[int, ...] = tuple(sorted({0, *(math.ceil(2 ** (step / A_DOUBLING)) for step in range(31 * A_DOUBLING))}))


def bucket_of(column: str) -> str:
    """The number of the bucket of a column of milliseconds, as SQL; NULL of NULL."""
    return f"width_bucket({column}, '{{{','.join(map(str, BOUNDS))}}}'::int[])"


def milliseconds(bucket: int) -> int:
    """What a call of this bucket is said to have taken: the middle of its whole milliseconds, as ratios go."""
    first = BOUNDS[bucket - 1]
    last = BOUNDS[bucket] - 1 if bucket < len(BOUNDS) else MAX_COUNT
    return round(math.sqrt(first * last))
