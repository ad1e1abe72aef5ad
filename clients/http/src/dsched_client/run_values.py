"""Runs of many tasks, as the API tells them."""

from datetime import datetime

import attrs


@attrs.frozen(kw_only=True)
class RunMember:
    """A member that was born; ``state`` is how it ended, or ``live``; ``skipped``, where it was let
    off since its worker had left. ``taken_from`` is the earlier run in which it ran, where it was
    taken over; ``worker`` is the one that alone may run it."""

    id: str
    name: str
    index: int | None = None
    state: str
    attempts: int = 0
    code: str = ""
    born: datetime | None = None
    ended: datetime | None = None
    taken_from: str | None = None
    worker: str | None = None


@attrs.frozen(kw_only=True)
class RunStep:
    """A step: ``level`` others come before it, one after the other; ``state`` is waiting, running,
    success, failed or skipped, ``total`` how many members it has, ``taken`` how many of them were
    taken over from an earlier run."""

    id: str
    level: int = 0
    executor: str = ""
    needs: tuple[str, ...] = ()
    when: str = "success"
    allow_failure: bool = False
    state: str
    reason: str = ""
    total: int = 1
    born: int = 0
    ended: int = 0
    failed: int = 0
    taken: int = 0
    start_time: datetime | None = None
    end_time: datetime | None = None
    members: tuple[RunMember, ...] = ()


@attrs.frozen(kw_only=True)
class RunLine:
    """A line of a run's log: a member was ``born`` or has ``ended``, it or a step was ``skipped``;
    or a step has a member for each of these ``workers``."""

    what: str
    name: str
    at: datetime
    status: str | None = None
    code: str = ""
    attempts: int = 0
    reason: str = ""
    workers: tuple[str, ...] = ()
