"""Durations as settings and task files have them; see `dsched.model.durations`."""

from dsched.model.durations import (
    MAX_DURATION_LENGTH,
    InvalidDurationError,
    format_duration,
    parse_duration,
)

__all__ = ["MAX_DURATION_LENGTH", "InvalidDurationError", "format_duration", "parse_duration"]
