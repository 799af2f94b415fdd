from billing.models.budgets import Budget, BudgetCrossing, BudgetPeriod, BudgetScope
from billing.models.credits import CreditDraw, CreditEntry, CreditKind, TopUp, TopUpStatus, Wallet
from billing.models.dunning import DunningFact, DunningKind
from billing.models.invoices import (
    ClosedPeriod,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    InvoicePaper,
    InvoicePayment,
    InvoiceSeries,
    LineKind,
)
from billing.models.parties import BillingProfile, EnteredTaxRate, Seller, TaxStanding
from billing.models.plans import Feature, Overage, Plan, PlanVersion
from billing.models.reconciliation import ProviderStatement
from billing.models.stripe import (
    StripeCustomer,
    StripeDispute,
    StripeEvent,
    StripeInvoice,
    StripeMeterEvent,
    StripeSubscription,
)
from billing.models.subscriptions import ChangeKind, Subscription, SubscriptionChange
from billing.models.suspensions import Suspension

__all__ = [
    "BillingProfile",
    "Budget",
    "BudgetCrossing",
    "BudgetPeriod",
    "BudgetScope",
    "ChangeKind",
    "ClosedPeriod",
    "CreditDraw",
    "CreditEntry",
    "CreditKind",
    "DunningFact",
    "DunningKind",
    "EnteredTaxRate",
    "Feature",
    "Invoice",
    "InvoiceKind",
    "InvoiceLine",
    "InvoicePaper",
    "InvoicePayment",
    "InvoiceSeries",
    "LineKind",
    "Overage",
    "Plan",
    "PlanVersion",
    "ProviderStatement",
    "Seller",
    "StripeCustomer",
    "StripeDispute",
    "StripeEvent",
    "StripeInvoice",
    "StripeMeterEvent",
    "StripeSubscription",
    "Subscription",
    "SubscriptionChange",
    "Suspension",
    "TaxStanding",
    "TopUp",
    "TopUpStatus",
    "Wallet",
]
