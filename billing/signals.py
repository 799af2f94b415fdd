"""What happened here, told after commit to whoever listens (receivers.py of the apps above).

- card_added(organization_id): a card became the one that pays.
- credits_low(organization_id, available_nanos, threshold_nanos): once, until there is more again.
- top_up_due(organization_id, top_up_id): credits are to be bought (billing.credits.wallets.complete_top_up).
- budget_crossed(organization_id, budget_id, crossing_id): a threshold was reached (billing.models.BudgetCrossing).
- invoice_changed(organization_id, invoice_id): an invoice or credit note was issued, or money came for it or went back.
- tax_number_changed(organization_id): an organization's tax number is another one, or is to be asked about again.
"""

from django.dispatch import Signal

budget_crossed = Signal()
card_added = Signal()
credits_low = Signal()
invoice_changed = Signal()
tax_number_changed = Signal()
top_up_due = Signal()
