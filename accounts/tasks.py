"""What beat has done for accounts."""

from celery import shared_task

from accounts import impersonation


@shared_task(name="accounts.end_impersonations")
def end_impersonations() -> None:
    """Beat: an impersonation whose time is over is written down as ended, also when nobody came back to it."""
    impersonation.end_expired()
