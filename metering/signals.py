"""What happened here, told after commit to whoever listens (receivers.py of the apps above).

- usage_recorded(organization_ids): events of these organizations were stored. No figures: whoever hears it reads the
  totals again, so a signal that is lost delays and falsifies nothing. Sent in the thread that committed, once a
  transaction, so a receiver takes no longer than it takes to enqueue.
"""

from django.dispatch import Signal

usage_recorded = Signal()
