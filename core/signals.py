"""What happened anywhere, told inside of the transaction it happened in (core/facts.py).

- fact_happened(fact): a `core.facts.Fact`. Whoever hears it may only write rows: committed with it, or not at all.
"""

from django.dispatch import Signal

fact_happened = Signal()
