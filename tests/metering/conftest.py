"""Fixtures of the write path's tests (tests/metering/door.py)."""

from tests.metering.door import door, prices

__all__ = ["door", "prices"]
