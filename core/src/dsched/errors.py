"""What a call of a client may raise, whichever client it is: on a store, or of the HTTP API."""

from typing import Any


class ClientError(Exception):
    """Base of what a client raises about what was asked; ``code`` is the outcome's word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotFoundError(ClientError):
    """There is no such task, config, worker or leader (any more).

    ``broken``: the break of the store's history that may be why, "" if there is none.
    """

    def __init__(self, code: str, message: str, *, broken: str = "") -> None:
        super().__init__(code, f"{message}. {broken}" if broken else message)
        self.broken = broken


class ConflictError(ClientError):
    """The id is taken by something else, or somebody else changed it at the same time."""


class PreconditionError(ClientError):
    """The config is not the revision that the change was meant for; nothing was changed."""


class RefusedError(ClientError):
    """What was asked makes no sense here, or comes too late; the message says what would."""


class TaskEndedBadlyError(ClientError):
    """The task ended ``failed`` or ``cancelled``; ``task`` tells how."""

    def __init__(self, task: Any) -> None:
        super().__init__(
            task.status, f"task {task.id} ended {task.status}: {task.error or task.reason}"
        )
        self.task = task


class NoAnswerError(Exception):
    """There was no answer; ``maybe_applied`` tells whether the call may have happened."""

    maybe_applied: bool


class NoClientError(RuntimeError):
    """A task was to be submitted where no client is at hand; the message says what to do."""
