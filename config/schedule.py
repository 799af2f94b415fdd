"""What Celery beat asks for, and how often; each task decides for itself whether there is anything to do."""

from __future__ import annotations

import datetime as dt
from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "resume imports": {"task": "metering.resume_imports", "schedule": dt.timedelta(minutes=1)},
    "forget traced calls": {"task": "metering.forget_traced_calls", "schedule": dt.timedelta(hours=1)},
    "forget diagnoses": {"task": "reports.forget_diagnoses", "schedule": dt.timedelta(days=1)},
    "forecast": {"task": "reports.forecast_all", "schedule": dt.timedelta(minutes=15)},
    "resume results": {"task": "reports.resume_results", "schedule": dt.timedelta(minutes=1)},
    "ask monthly reports": {"task": "reports.ask_monthly_reports", "schedule": dt.timedelta(minutes=15)},
    "run schedules": {"task": "reports.run_schedules", "schedule": dt.timedelta(minutes=1)},
    "expire results": {"task": "reports.expire_results", "schedule": dt.timedelta(hours=1)},
    "look for advice": {"task": "reports.look_for_advice_of_all", "schedule": dt.timedelta(minutes=15)},
    "forget refusals": {"task": "metering.forget_refusals", "schedule": dt.timedelta(days=1)},
    "expire holds": {"task": "metering.expire_holds", "schedule": dt.timedelta(seconds=30)},
    "heartbeat": {"task": "core.heartbeat", "schedule": dt.timedelta(seconds=30)},
    "end impersonations": {"task": "accounts.end_impersonations", "schedule": dt.timedelta(minutes=1)},
    "follow zones": {"task": "metering.follow_zones", "schedule": dt.timedelta(hours=1)},
    "watch budgets": {"task": "billing.watch_budgets_of_all", "schedule": dt.timedelta(minutes=1)},
    "watch credits": {"task": "billing.watch_credits", "schedule": dt.timedelta(minutes=1)},
    "settle credits": {"task": "billing.settle_credits", "schedule": dt.timedelta(hours=1)},
    "push limits of plans": {"task": "billing.push_limits_of_all", "schedule": dt.timedelta(minutes=15)},
    "recheck tax numbers": {"task": "billing.recheck_tax_numbers", "schedule": dt.timedelta(minutes=30)},
    "watch payments": {"task": "billing.stripe.watch", "schedule": dt.timedelta(minutes=5)},
    "show plans at Stripe": {"task": "billing.stripe.mirror_plans_of_all", "schedule": dt.timedelta(hours=1)},
    "report usage to Stripe": {"task": "billing.stripe.report_usage_of_all", "schedule": dt.timedelta(hours=1)},
    "spread facts": {"task": "alerts.spread_facts", "schedule": dt.timedelta(seconds=30)},
    "summarize days": {"task": "alerts.summarize_days", "schedule": dt.timedelta(minutes=15)},
    "summarize weeks": {"task": "alerts.summarize_weeks", "schedule": dt.timedelta(minutes=15)},
    "deliver webhooks": {"task": "alerts.deliver_webhooks", "schedule": dt.timedelta(seconds=30)},
    "watch webhooks' thresholds": {"task": "alerts.watch_webhook_thresholds", "schedule": dt.timedelta(minutes=1)},
    "forget webhook deliveries": {"task": "alerts.forget_webhook_deliveries", "schedule": dt.timedelta(days=1)},
    "send messages": {"task": "alerts.send_waiting", "schedule": dt.timedelta(seconds=30)},
    "forget messages": {"task": "alerts.forget_messages", "schedule": dt.timedelta(days=1)},
    "send digests": {"task": "alerts.send_digests", "schedule": dt.timedelta(minutes=1)},
    "evaluate due rules": {"task": "alerts.evaluate_due", "schedule": dt.timedelta(seconds=30)},
    "close periods": {"task": "billing.close_due_periods", "schedule": dt.timedelta(hours=1)},
}
