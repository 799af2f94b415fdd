"""Dividing a whole number by weights, so that the parts sum to it exactly."""

from __future__ import annotations

from collections.abc import Sequence


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in proportion to the weights, by largest remainder: each part is its share rounded down, and what is
    left goes one by one to those that lost the most by it, the earlier one first where two lost the same.

    Needs a total and weights that are not negative. Raises ValueError when no weight is more than 0.
    """
    whole = sum(weights)
    if whole <= 0:
        raise ValueError("nothing to divide by: every weight is 0")
    divided = [divmod(total * weight, whole) for weight in weights]
    parts = [part for part, _ in divided]
    left = total - sum(parts)
    for at in sorted(range(len(divided)), key=lambda at: -divided[at][1])[:left]:
        parts[at] += 1
    return parts
