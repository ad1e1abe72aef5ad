"""What every part of the Python client uses: a store, who asks, repeated calls, and the errors."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from dsched.client.judging import Judge
from dsched.contracts.store import Store
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.formats import RUNS_SINCE
from dsched.contracts.store.outcomes import StoreUnavailableError
from dsched.errors import (
    ClientError,
    ConflictError,
    NotFoundError,
    PreconditionError,
    RefusedError,
    TaskEndedBadlyError,
)
from dsched.model import TaskSpec, Wait, rfc3339_ms, seconds_of
from dsched.model.defaults import TaskDefaults

__all__ = [
    "Asking",
    "ClientError",
    "ConflictError",
    "NotFoundError",
    "NotScheduledError",
    "PreconditionError",
    "RefusedError",
    "TaskEndedBadlyError",
    "answered",
]

T = TypeVar("T")

CALL_S = 30.0  # far longer than a store that answers takes, tries included
TRIES = 8
FIRST_RETRY_S = 0.1


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


class Asking:
    """Asks a store on somebody's behalf. ``by`` is that somebody, for the event log; ``defaults``
    give a timeout and a retry policy to an item that has none. ``judge`` refuses what nothing here
    could run. One question takes at most ``timeout``, its repeats included."""

    def __init__(
        self,
        store: Store,
        *,
        by: str = "client",
        defaults: TaskDefaults | None = None,
        judge: Judge | None = None,
        timeout: Wait = CALL_S,
    ) -> None:
        self._store = store
        self._by = by
        self._defaults = defaults or TaskDefaults()
        self._judge = judge
        self._timeout_s = seconds_of(timeout)

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

    async def _check_format(self, items: Iterable[TaskSpec]) -> None:
        """`RefusedError` where one of them has what the format of the store does not."""
        later = [
            item for item in items if item.workflow is not None or item.limits or item.template
        ]
        if not later:
            return
        found = await self._answered(self._store.store_format)
        if found.stored < RUNS_SINCE:
            raise RefusedError(
                "FORMAT",
                f"the store has format {found.stored}, and {_what_is_later(later)} {RUNS_SINCE}: "
                "migrate it first (dsched store migrate)",
            )

    async def _wall_ms(self) -> int:
        return (await self._answered(self._store.now)).wall_ms

    async def _answered(self, call: Callable[[], Awaitable[T]]) -> T:
        """The answer of `answered`, within the client's bound."""
        limit = asyncio.timeout(self._timeout_s)
        try:
            async with limit:
                return await answered(call)
        except TimeoutError as late:
            if not limit.expired():
                raise
            raise StoreUnavailableError(
                f"no answer within {self._timeout_s:g} s", maybe_applied=True
            ) from late


def _what_is_later(items: Sequence[TaskSpec]) -> str:
    if any(item.workflow is not None for item in items):
        return "runs of many tasks need"
    return "limits need" if any(item.limits for item in items) else "templates need"


async def answered(call: Callable[[], Awaitable[T]]) -> T:
    """The answer of a store call, which is repeated unchanged for some seconds until there is one.

    For callers that wait for the answer: after about 7 s of pauses they get the
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
