"""What every part of the Python client stands on: a store, who asks, patience, and the errors."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from dsched.contracts.store import Store
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched.model import Task, rfc3339_ms
from dsched.model.defaults import TaskDefaults

T = TypeVar("T")

TRIES = 8
FIRST_RETRY_S = 0.1


class ClientError(Exception):
    """Base of what the client raises about what was asked; ``code`` is the outcome's word."""

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


class NotScheduledError(RefusedError):
    """The config has no such instant. Its neighbours are wall ms, None where there is none."""

    def __init__(self, what: str, before_ms: int | None, after_ms: int | None) -> None:
        near = [
            f"{word} is {rfc3339_ms(at_ms)}"
            for word, at_ms in (("the one before", before_ms), ("the next one", after_ms))
            if at_ms is not None
        ]
        super().__init__("NOT_SCHEDULED", f"{what}; {', '.join(near) or 'it has no instants'}")
        self.before_ms = before_ms
        self.after_ms = after_ms


class TaskEndedBadlyError(ClientError):
    """The task ended ``failed`` or ``cancelled``; ``task`` tells how."""

    def __init__(self, task: Task) -> None:
        super().__init__(
            task.status, f"task {task.id} ended {task.status}: {task.error or task.reason}"
        )
        self.task = task


class Asking:
    """Asks a store on somebody's behalf. ``by`` is that somebody, for the event log; ``defaults``
    are what a config or a task gets that says no timeout or retry."""

    def __init__(
        self, store: Store, *, by: str = "client", defaults: TaskDefaults | None = None
    ) -> None:
        self._store = store
        self._by = by
        self._defaults = defaults or TaskDefaults()

    @property
    def by(self) -> str:
        """In whose name this client acts."""
        return self._by

    async def get_config(self, config_id: str) -> StoredConfig:
        """A config with what the store knows of it; `NotFoundError`."""
        (stored,) = await self._answered(lambda: self._store.get_configs([config_id]))
        if stored is None:
            raise NotFoundError("UNKNOWN", f"there is no config {config_id}")
        return stored

    async def _wall_ms(self) -> int:
        return (await self._answered(self._store.now)).wall_ms

    async def _answered(self, call: Callable[[], Awaitable[T]]) -> T:
        return await answered(call)


async def answered(call: Callable[[], Awaitable[T]]) -> T:
    """The answer of a call of the store, made again unchanged for some seconds if there is none.

    This is for those who wait for the answer: after about 7 s of pauses they get the
    `StoreUnavailableError`. A pod's own loops never give up: `dsched.engine.store_calls`.
    """
    wait_s = FIRST_RETRY_S
    for _ in range(TRIES - 1):
        try:
            return await call()
        except StoreUnavailableError:
            await asyncio.sleep(wait_s)
            wait_s = min(2.0, wait_s * 2)
    return await call()
