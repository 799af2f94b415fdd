from billing.models.plans import Feature, Overage, Plan, PlanVersion
from billing.models.subscriptions import ChangeKind, Subscription, SubscriptionChange

__all__ = [
    "ChangeKind",
    "Feature",
    "Overage",
    "Plan",
    "PlanVersion",
    "Subscription",
    "SubscriptionChange",
]
