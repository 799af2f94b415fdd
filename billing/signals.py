"""What happened here, told after commit to whoever listens (receivers.py of the apps above).

- card_added(organization_id): a card became the one that pays.
- top_up_due(organization_id, top_up_id): credits are to be bought (billing.credits.purchases.complete).
- invoice_changed(organization_id, invoice_id): an invoice or credit note was issued, or money came for it or went back.
- plan_changed(organization_id): something was decided about an organization's plan.
- tax_number_changed(organization_id): an organization's tax number is another one, or is to be asked about again.
"""

from django.dispatch import Signal

card_added = Signal()
invoice_changed = Signal()
plan_changed = Signal()
tax_number_changed = Signal()
top_up_due = Signal()
