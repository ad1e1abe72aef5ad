"""What a single field of a config or snapshot may hold, and how it is refused."""

from collections.abc import Mapping
from datetime import timedelta

from dsched.model import given
from dsched.model.origin import is_origin

MAX_NAME_LENGTH = 256
MAX_LABELS = 64
MAX_LABEL_LENGTH = 128
MAX_DURATION = timedelta(days=3650)


class InvalidConfigError(ValueError):
    """A field of a config that cannot be accepted; the message names field, reason and remedy."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def check_whole(field: str, number: int, least: int, most: int) -> None:
    """Refuse what is no whole number within the bounds."""
    whole = isinstance(number, int) and not isinstance(number, bool)
    if not whole or not least <= number <= most:
        raise InvalidConfigError(field, f"must be {least} to {most}, got {number!r}")


def check_text(field: str, text: str) -> None:
    """Refuse what is no text, or too long."""
    if not isinstance(text, str) or len(text) > MAX_NAME_LENGTH:
        raise InvalidConfigError(field, f"must be text of at most {MAX_NAME_LENGTH} characters")


def check_labels(field: str, labels: Mapping[str, str]) -> None:
    """Refuse labels that are too many, too long, or not text to text."""
    if len(labels) > MAX_LABELS:
        raise InvalidConfigError(field, f"at most {MAX_LABELS} labels")
    for key, value in labels.items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise InvalidConfigError(f"{field}.{key}", "labels are text to text; quote the value")
        if not 1 <= len(key) <= MAX_LABEL_LENGTH or len(value) > MAX_LABEL_LENGTH:
            raise InvalidConfigError(f"{field}.{key}", f"1 to {MAX_LABEL_LENGTH} characters each")


def check_origin_name(origin: str) -> None:
    """Refuse what is no place that declares configs."""
    if not is_origin(origin):
        raise InvalidConfigError("origin", f"must be api, code:NAME or file:NAME; got {origin!r}")


def check_span(field: str, span: timedelta, least: timedelta) -> None:
    """Refuse what is no duration, or outside of ``least`` to `MAX_DURATION`."""
    if not isinstance(span, timedelta):
        raise InvalidConfigError(field, given.why_no_span(span))
    if not least <= span <= MAX_DURATION:
        raise InvalidConfigError(field, f"must be {least} to {MAX_DURATION.days} days, got {span}")
