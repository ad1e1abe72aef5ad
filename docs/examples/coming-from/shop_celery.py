"""A Celery application with a beat schedule, as it is today."""

from celery import Celery
from celery.schedules import crontab

app = Celery("shop")
app.conf.timezone = "Europe/Berlin"
app.conf.beat_schedule = {
    "report": {"task": "shop.report", "schedule": crontab(hour=2, minute=30), "args": ("full",)},
    "refresh": {"task": "shop.refresh", "schedule": 30.0},
}


@app.task(name="shop.report")
def report(kind: str) -> None:
    """Writes the report."""


@app.task(name="shop.refresh")
def refresh() -> None:
    """Refreshes the shop."""
