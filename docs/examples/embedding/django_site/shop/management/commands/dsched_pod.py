"""python manage.py dsched_pod: a pod in a process of its own, beside the web servers."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

import dsched
from shop import tasks  # noqa: F401 - registers the functions and their schedules


class Command(BaseCommand):
    """Run a pod until SIGTERM or Ctrl-C, then drain it."""

    help = "Run the site's tasks and schedules."

    def handle(self, *args: Any, **options: Any) -> None:
        """What Django calls."""
        dsched.run(config=settings.DSCHED)
