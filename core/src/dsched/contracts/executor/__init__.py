"""The executor contract: how one attempt at a task is carried out."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Protocol

from dsched.contracts.executor.context import ExecutionContext
from dsched.model import JsonValue, Task, TaskResult


class TaskFailed(Exception):  # noqa: N818 - the field's word, and what authors raise
    """Raised by an executor, or by user code below it: this attempt failed.

    ``retryable=False`` ends the task however many retries are left. ``retry_after`` (seconds) is
    a lower bound on the delay before the next attempt; it is capped by the policy's `max_delay`.
    ``data`` is kept as the result's data, so that a failure can be examined.
    """

    def __init__(
        self,
        message: str,
        code: str = "failed",
        *,
        retryable: bool = True,
        retry_after: float | None = None,
        data: JsonValue = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after
        self.data = data


class Executor(ABC):
    """Carries out attempts. One instance serves many attempts at once.

    Obligations: `execute` returns a `TaskResult` for a success; raises `TaskFailed` for a failure
    it understands; any other exception counts as a retryable failure with its traceback. On
    `asyncio.CancelledError` (timeout, cancel, shutdown) it stops what it started and re-raises;
    it must not return before the work has really stopped. It never blocks the event loop.
    """

    @abstractmethod
    async def execute(self, context: ExecutionContext, task: Task) -> TaskResult:
        """Run ``task.spec.payload`` once. ``task.spec`` is never None here."""

    def offers(self) -> Iterable[str] | None:
        """The names of what it can run; more may come. None, the default: anything.

        Only `local` has tasks that name what they need of it: their ``function``.
        """
        return None


class PayloadCheck(Protocol):
    """An optional ability of an executor provider: judging a payload before anything runs."""

    def __call__(self, payload: JsonValue) -> list[str]:
        """The problems of the payload, each a sentence naming the key; empty when it is fine."""


def accept_any_payload(payload: JsonValue) -> list[str]:  # noqa: ARG001
    """The `PayloadCheck` of an executor that cannot tell before it runs."""
    return []
