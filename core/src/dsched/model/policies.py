"""The policies of a config, and each as code may give it: a member, or its text."""

from enum import StrEnum
from typing import TypeVar

from dsched.model.fields import InvalidConfigError
from dsched.model.on_crash import OnCrash
from dsched.model.trigger import DstGap, DstOverlap

E = TypeVar("E", bound=StrEnum)


class Overlap(StrEnum):
    """What a fire does while an earlier task of the same config lives, cluster-wide."""

    SKIP = "skip"
    ALLOW = "allow"
    QUEUE_ONE = "queue_one"
    QUEUE_ALL = "queue_all"  # at most `misfire_cap` wait
    CANCEL_PREVIOUS = "cancel_previous"


class Misfire(StrEnum):
    """What happens to instants missed by more than ``misfire_grace``."""

    FIRE_ONCE = "fire_once"  # the latest of them
    SKIP = "skip"
    FIRE_ALL = "fire_all"  # the latest `misfire_cap`, oldest first


def one_of(cls: type[E], field: str, value: str) -> E:
    """The enum of a text, so that code may say ``overlap="allow"`` as a task file does."""
    if type(value) is cls:
        return value  # as where it was left out
    try:
        return cls(value)
    except ValueError:
        choices = ", ".join(cls)
        raise InvalidConfigError(field, f"must be one of {choices}; got {value!r}") from None


def dst_gap(value: DstGap | str) -> DstGap:
    """What a cron does in a gap, of a text."""
    return one_of(DstGap, "dst_gap", value)


def dst_overlap(value: DstOverlap | str) -> DstOverlap:
    """What a cron does where an hour is there twice, of a text."""
    return one_of(DstOverlap, "dst_overlap", value)


def misfire(value: Misfire | str) -> Misfire:
    """What is done about missed instants, of a text."""
    return one_of(Misfire, "misfire", value)


def overlap(value: Overlap | str) -> Overlap:
    """What a fire does while an earlier task lives, of a text."""
    return one_of(Overlap, "overlap", value)


def on_crash(value: OnCrash | str) -> OnCrash:
    """What is done after a crash, of a text."""
    return one_of(OnCrash, "on_crash", value)
