"""The one row of `meta`, and the statements that read and write it."""

from typing import Any

import attrs

from dsched.model import TaskStatus


@attrs.define
class Meta:
    """The one row of `meta`: clock, leader lock, counters. The fields are its columns."""

    offset_ms: int
    mark_ms: int
    clock_gen: int
    fence: str | None
    lock_until_ms: int | None
    epoch: int
    rest_pod: str | None
    rest_until_ms: int
    leaderless: int
    last_revision: int
    last_cursor: int
    collected: str
    log_size: int
    last_place: int
    last_ring: int
    configs: int
    in_delayed: int
    in_ready: int
    in_queue: int
    in_held: int
    in_lease: int
    retrying: int
    ended_success: int
    ended_failed: int
    ended_cancelled: int
    kept_success: int
    kept_failed: int
    kept_cancelled: int

    def count_kept(self, status: TaskStatus, by: int) -> int:
        """Keep the number of ended tasks of an outcome; how many there are now."""
        match status:
            case TaskStatus.SUCCESS:
                self.kept_success += by
                return self.kept_success
            case TaskStatus.FAILED:
                self.kept_failed += by
                return self.kept_failed
            case _:
                self.kept_cancelled += by
                return self.kept_cancelled

    def values(self) -> tuple[Any, ...]:
        """The columns in order."""
        return tuple(getattr(self, name) for name in META_NAMES)


META_NAMES = tuple(field.name for field in attrs.fields(Meta))
META = ", ".join(META_NAMES)
PUT_META = f"UPDATE meta SET {', '.join(f'{name} = ?' for name in META_NAMES)} WHERE one = 1"  # noqa: S608
