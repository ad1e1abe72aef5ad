"""The handle of a task that was submitted: its id, and what one asks of it."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from dsched.model import TaskSpec, Wait

if TYPE_CHECKING:  # a module that only registers functions needs none of it
    from dsched.contracts.store.working import CancelAnswer
    from dsched.model import Task

T_co = TypeVar("T_co", covariant=True)


class Submits(Protocol):
    """The part of a client that submitting functions and handles need."""

    async def submit(
        self,
        spec: TaskSpec,
        *,
        task_id: str | None = None,
        delay: Wait | None = None,
        at: datetime | str | None = None,
    ) -> Any:
        """Create a task; its handle."""
        ...

    async def get(self, task_id: str) -> Any:
        """The task as it is now."""
        ...

    async def wait(self, task_id: str, *, timeout: Wait | None = None) -> Any:
        """The task when it has ended."""
        ...

    async def result(self, task_id: str, *, timeout: Wait | None = None) -> Any:
        """What it returned."""
        ...

    async def cancel(self, task_id: str, *, reason: str = "cancelled by a client") -> Any:
        """Cancel it."""
        ...


class TaskHandle(str, Generic[T_co]):
    """A task that was submitted, triggered or run once more. It is the task's id, a text, as well.

    ``T_co`` is what the task's function returns, as JSON brings it back: a tuple is a list then.
    """

    _client: Submits

    def __new__(cls, task_id: str, client: Submits) -> "TaskHandle[T_co]":
        """The handle of a task of this client."""
        made = super().__new__(cls, task_id)
        made._client = client
        return made

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """Copied or sent elsewhere it is the id alone: its client stays where it is."""
        return str, (str(self),)

    @property
    def id(self) -> str:
        """The task's id."""
        return str(self)

    async def get(self) -> "Task":
        """The task as it is now; `NotFoundError`."""
        task: Task = await self._client.get(self.id)
        return task

    async def wait(self, *, timeout: Wait | None = None) -> "Task":
        """The task when it has ended, however it did; `TimeoutError`, `NotFoundError`."""
        task: Task = await self._client.wait(self.id, timeout=timeout)
        return task

    async def result(self, *, timeout: Wait | None = None) -> T_co:
        """What it returned; `TaskEndedBadlyError` if it failed, `TimeoutError`."""
        found: T_co = await self._client.result(self.id, timeout=timeout)
        return found

    async def cancel(self, *, reason: str = "cancelled by a client") -> "CancelAnswer":
        """Cancel it: ``OK``, ``REQUESTED``, ``ALREADY`` or ``TOO_LATE``; `NotFoundError`."""
        answer: CancelAnswer = await self._client.cancel(self.id, reason=reason)
        return answer
