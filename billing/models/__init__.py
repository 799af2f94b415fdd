from billing.models.budgets import Budget, BudgetCrossing, BudgetPeriod, BudgetScope
from billing.models.credits import CreditDraw, CreditEntry, CreditKind, TopUp, TopUpStatus, Wallet
from billing.models.plans import Feature, Overage, Plan, PlanVersion
from billing.models.subscriptions import ChangeKind, Subscription, SubscriptionChange

__all__ = [
    "Budget",
    "BudgetCrossing",
    "BudgetPeriod",
    "BudgetScope",
    "ChangeKind",
    "CreditDraw",
    "CreditEntry",
    "CreditKind",
    "Feature",
    "Overage",
    "Plan",
    "PlanVersion",
    "Subscription",
    "SubscriptionChange",
    "TopUp",
    "TopUpStatus",
    "Wallet",
]
