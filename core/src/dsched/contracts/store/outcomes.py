"""The public words in which a store answers, and the few refusals that concern a whole call."""

from enum import StrEnum

from dsched.errors import NoAnswerError


class Outcome(StrEnum):
    """What became of one item of a batch, or of one call."""

    OK = "OK"
    DUP = "DUP"  # the same thing is there already; nothing changed
    CONFLICT = "CONFLICT"  # the id is taken by something else
    UNKNOWN = "UNKNOWN"  # no such task, config or worker
    STALE = "STALE"  # the token, claim number or home is not the current one
    FENCED = "FENCED"  # the caller does not hold the leader lock with this fence
    TAKEN = "TAKEN"  # somebody else holds the leader lock; or it is in use
    RESTING = "RESTING"  # asked to step down a moment ago: another pod is to lead first
    REVISED = "REVISED"  # the config is gone, paused or has another revision
    MOVED = "MOVED"  # something else was stored than the caller had read: read again
    EARLY = "EARLY"  # an instant lies in the future
    NO_WORKER = "NO_WORKER"  # this incarnation is not registered: register (again)
    SUPERSEDED = "SUPERSEDED"  # a newer incarnation holds this worker id
    GONE = "GONE"  # the worker has not been heard of for its heartbeat timeout
    DRAINING = "DRAINING"  # the worker takes no new tasks
    STALLED = "STALLED"  # the worker has a free slot and does not claim
    FULL = "FULL"  # the worker has as many tasks as it may
    LIMITED = "LIMITED"  # a limit of the task is full: it waits under that
    EXPIRED = "EXPIRED"  # the start deadline had passed: the task ended `cancelled`
    EMPTY = "EMPTY"  # nothing to claim
    ALREADY = "ALREADY"  # a repeat of what was accepted before
    REQUESTED = "REQUESTED"  # the cancel is recorded; the running attempt is being stopped
    OLDER = "OLDER"  # a pod runs that does not know the newest format of a store
    TOO_LATE = "TOO_LATE"  # the task had ended


class RunOutcome(StrEnum):
    """What became of one nominal instant of a `fire`."""

    FIRED = "fired"  # its task was created, and may run
    HELD = "held"  # its task was created, and waits for an older one to end
    SKIPPED = "skipped"  # the overlap policy dropped it
    DUP = "dup"  # its task existed already; nothing changed


class StoreError(Exception):
    """Base of everything a store raises."""


class FencedError(StoreError):
    """The leader lock is not held with the fence given. Nothing was changed: stop leading."""


class StoreUnavailableError(StoreError, NoAnswerError):
    """The store did not answer. ``maybe_applied`` tells whether the step may have happened.

    Every step may be repeated unchanged: it is idempotent by a token of the caller or by itself.
    """

    def __init__(self, message: str, *, maybe_applied: bool) -> None:
        super().__init__(message)
        self.maybe_applied = maybe_applied


class StoreReadOnlyError(StoreUnavailableError):
    """The store answers, but takes no writes now: no memory or disk left, read-only, replicas
    missing.

    Reads may go on. It may pass without a restart, so the step is repeated as for any
    `StoreUnavailableError`. The message holds the store's own words and what to do; ``reason`` is
    one word, for figures: ``memory``, ``disk``, ``replicas``, ``read_only``.
    """

    def __init__(self, message: str, *, maybe_applied: bool, reason: str = "read_only") -> None:
        super().__init__(message, maybe_applied=maybe_applied)
        self.reason = reason


class StoreEmptiedError(StoreUnavailableError):
    """Nothing is there any more of the store that this process has worked on.

    Nothing is written, so that it does not come back empty unnoticed; a backup may be put in place.
    """


class StoreRefusedError(StoreError):
    """The store must not be used as it is: unsafe settings, no permission, a foreign format.

    Waiting does not help. The message says what, why and what to do.
    """
