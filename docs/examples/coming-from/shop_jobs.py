"""An APScheduler 3 scheduler with its jobs, as it is today."""

from apscheduler.schedulers.background import BackgroundScheduler


def report(kind: str) -> None:
    """Writes the report."""


def refresh() -> None:
    """Refreshes the shop."""


scheduler = BackgroundScheduler(timezone="Europe/Berlin")
scheduler.add_job(report, "cron", hour=2, minute=30, args=["full"], id="report")
scheduler.add_job(refresh, "interval", seconds=30, id="refresh", max_instances=1)
