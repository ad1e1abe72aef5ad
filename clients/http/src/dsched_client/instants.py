"""Instants as the API writes them; imports no value of dsched, so that the command starts fast."""

from datetime import UTC, datetime


def rfc3339(instant: datetime) -> str:
    """``2026-01-31T09:00:00.000Z``: an aware datetime in UTC."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
