"""The six public statuses of a task, its homes, and the one table of legal transitions."""

from enum import StrEnum


class TaskStatus(StrEnum):
    """What the public sees of a task's life. No others exist."""

    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether nothing can change this task any more."""
        return self in TERMINAL


class Home(StrEnum):
    """Where a task that has not ended waits or lives: exactly one place."""

    DELAYED = "delayed"
    READY = "ready"
    QUEUE = "queue"
    HELD = "held"
    LEASE = "lease"
    OPEN = "open"  # of a run, while its members live: no worker ever has it


TERMINAL = frozenset({TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.CANCELLED})

State = tuple[TaskStatus, Home | None]

_DELAYED: State = (TaskStatus.PENDING, Home.DELAYED)
_READY: State = (TaskStatus.PENDING, Home.READY)
_QUEUED: State = (TaskStatus.PENDING, Home.QUEUE)
_HELD: State = (TaskStatus.PENDING, Home.HELD)
_RUNNING: State = (TaskStatus.RUNNING, Home.LEASE)
_OPENING: State = (TaskStatus.PENDING, Home.OPEN)
_OPEN: State = (TaskStatus.RUNNING, Home.OPEN)
_RETRYING: State = (TaskStatus.RETRYING, Home.DELAYED)
_SUCCESS: State = (TaskStatus.SUCCESS, None)
_FAILED: State = (TaskStatus.FAILED, None)
_CANCELLED: State = (TaskStatus.CANCELLED, None)

BIRTH: frozenset[State] = frozenset({_DELAYED, _READY, _HELD, _OPENING, _CANCELLED})

TRANSITIONS: dict[State, frozenset[State]] = {
    _DELAYED: frozenset({_READY, _CANCELLED}),  # promote; cancel
    _READY: frozenset({_QUEUED, _DELAYED, _CANCELLED}),  # dispatch; defer; cancel, expire
    _QUEUED: frozenset({_RUNNING, _READY, _CANCELLED}),  # claim; recall, drain; cancel, expire
    # the older run ended (a run of many tasks opens); cancel, superseded
    _HELD: frozenset({_READY, _OPENING, _CANCELLED}),
    _OPENING: frozenset({_OPEN, _CANCELLED}),  # the leader has seen it; cancel
    _OPEN: frozenset({_SUCCESS, _FAILED, _CANCELLED}),  # the run ends
    _RUNNING: frozenset(
        {
            _SUCCESS,  # complete
            _FAILED,  # complete; reap (poison, on_crash: fail); release (on_crash: fail)
            _CANCELLED,  # complete, release or reap after a cancel was requested
            _RETRYING,  # complete with a retry owed; reap from the second crash on
            _READY,  # release; reap of a first crash
        }
    ),
    _RETRYING: frozenset({_READY, _CANCELLED}),  # promote; cancel
    _SUCCESS: frozenset(),
    _FAILED: frozenset(),
    _CANCELLED: frozenset(),
}


class IllegalTransitionError(RuntimeError):
    """A step tried to move a task along an edge that the table does not have: a defect."""


def check_transition(task_id: str, before: State | None, after: State) -> None:
    """Raise `IllegalTransitionError` unless the table has this edge (``None`` = being created)."""
    allowed = BIRTH if before is None else TRANSITIONS.get(before, frozenset())
    if after not in allowed:
        raise IllegalTransitionError(f"task {task_id}: {before} -> {after} is not a transition")
