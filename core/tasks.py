"""What beat has done for the installation itself."""

from celery import shared_task

from core.task_queue import HEARTBEAT, beat_of_a_worker


@shared_task(name=HEARTBEAT, ignore_result=True)
def heartbeat() -> None:
    beat_of_a_worker()
