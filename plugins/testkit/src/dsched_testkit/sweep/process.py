"""A process that counts its calls of the store, and breaks the one that it is told to."""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import attrs

from dsched.contracts.store.outcomes import StoreError, StoreUnavailableError
from dsched_testkit.kernel.line import Proceed
from dsched_testkit.kernel.process import Process
from dsched_testkit.memory import State
from dsched_testkit.sweep.content import Change, Situation, change, content, situation
from dsched_testkit.sweep.sites import Site, calling_site

PACKET = "packet"
HOP_S = 0.001
LOST_AFTER_S = 0.02
LATE_S = 1.8  # longer than any lock or lease lives in the scenarios
AFTER_DEATH_S = 4.0  # by then other processes have what a dead one held


MOST_CALLS = 10_000  # of one play, which makes some hundreds


class RestlessError(RuntimeError):
    """The processes of a play call the store on and on: they will not come to rest."""


@attrs.define
class Meter:
    """Counts the calls of all processes of a play, and the packets that are on their way."""

    calls: int = 0
    packets: int = 0

    def count(self) -> None:
        """One more; `RestlessError` beyond the number that a working play needs."""
        self.calls += 1
        if self.calls > MOST_CALLS:
            raise RestlessError(f"more than {MOST_CALLS} calls in one play")


class Kind(StrEnum):
    """What goes wrong at a call."""

    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    LOST_REQUEST = "lost request"
    LOST_REPLY = "lost reply"
    LATE_REQUEST = "late request"  # the caller has repeated it long ago, and then it arrives
    CRASH_LATE = "crash, late request"  # the caller is dead, and others have taken over


@attrs.frozen(kw_only=True)
class Point:
    """One fault: at call ``number`` (from 1) of the process ``name``, where ``site`` calls."""

    name: str
    number: int
    kind: Kind
    site: Site

    def __str__(self) -> str:
        """Enough to play it again."""
        return f"{self.kind} at call {self.number} of {self.name}, {self.site}"


@attrs.frozen(kw_only=True)
class Call:
    """One call as it was without a fault: the store's situation on both sides, and its answer."""

    name: str
    number: int
    site: Site
    before: Situation
    after: Situation
    change: Change
    answer: str
    changed: bool


@attrs.define(kw_only=True, eq=False)
class SweptProcess(Process):
    """A process whose calls are counted; each is added to ``calls`` if recording.

    ``killed`` is called when it has been killed, once.
    """

    state: State
    group: asyncio.TaskGroup
    point: Point | None
    killed: Callable[[], None]
    calls: list[Call] | None
    meter: Meter
    count: int = 0

    def kill(self) -> None:
        """SIGKILL, by a fault or by the scenario."""
        if not self.dead:
            super().kill()
            self.killed()

    async def call(self, handle: str, step: str, proceed: Proceed) -> Any:
        """One call: there and back, or not."""
        mine = self.point is not None and self.point.name == self.name
        site = calling_site(step) if mine or self.calls is not None else None
        return await self.passed(lambda: self._counted(site, handle, step, proceed))

    def refused_after_s(self) -> float:
        """As long as a call takes on its way."""
        return HOP_S

    async def _counted(self, site: Site | None, handle: str, step: str, proceed: Proceed) -> Any:
        self.meter.count()
        self.count += 1
        number, point = self.count, self.point
        await asyncio.sleep(HOP_S)
        proceed = self.line.ruled(handle, step, proceed)
        if point is not None and point.name == self.name and point.number == number:
            self.point = None
            if site != point.site:
                raise RuntimeError(f"not the same run as before: {site} instead of {point}")
            return await self._broken(point.kind, proceed)
        if self.calls is None or site is None:
            return await proceed()
        before, was = situation(self.state), content(self.state)
        answer = await proceed()
        changed = was != content(self.state) or answer is True
        after = situation(self.state)
        self.calls.append(
            Call(
                name=self.name,
                number=number,
                site=site,
                before=before,
                after=after,
                change=change(before, after),
                answer=shape(answer),
                changed=changed,
            )
        )
        return answer

    async def _broken(self, kind: Kind, proceed: Proceed) -> Any:
        match kind:
            case Kind.CRASH_BEFORE:
                self.kill()
            case Kind.CRASH_AFTER:
                await proceed()
                self.kill()
            case Kind.LOST_REPLY:
                await proceed()
            case Kind.LATE_REQUEST:
                self._send_later(proceed, LATE_S)
            case Kind.CRASH_LATE:
                self._send_later(proceed, AFTER_DEATH_S)
                self.kill()
            case Kind.LOST_REQUEST:
                pass
        await asyncio.sleep(LOST_AFTER_S)
        raise StoreUnavailableError(f"sweep: {kind}", maybe_applied=True)

    def _send_later(self, proceed: Proceed, seconds: float) -> None:
        async def send() -> None:
            try:
                await asyncio.sleep(seconds)
                await proceed()
            except StoreError:
                return  # nobody waits for this answer: a refusal is as good as any
            finally:
                self.meter.packets -= 1

        self.meter.packets += 1
        self.group.create_task(send(), name=PACKET)


def shape(answer: Any) -> str:
    """The words in an answer and how much it holds, to tell one empty poll from the next find."""
    if isinstance(answer, str | bool | None):
        return repr(answer)
    if isinstance(answer, tuple):
        return "(" + " ".join(sorted({shape(item) for item in answer})) + ")"
    words = [
        shape(value)
        for name in ("outcome", "tasks", "configs", "leases", "queued", "events", "lost", "cancel")
        if (value := getattr(answer, name, None)) is not None
    ]
    return f"{type(answer).__name__} {' '.join(words)}"
