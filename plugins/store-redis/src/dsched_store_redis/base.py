"""What every group of steps uses: a link, the scripts, and the keys' prefix."""

from collections.abc import Iterable
from typing import Any

import attrs

from dsched.contracts.store.outcomes import FencedError
from dsched.contracts.store.settings import StoreSettings
from dsched.contracts.store.timing import StoreTime
from dsched.model import TaskStatus
from dsched_store_redis.link import Link, packed
from dsched_store_redis.scripts import Scripts
from dsched_store_redis.wakeups import Wakeups
from dsched_store_redis.wire import decode

ENDS = (TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.CANCELLED)  # in the scripts' order


@attrs.define(kw_only=True)
class Footing:
    """What one handle holds. ``replicas``: how many a step that must not be lost waits for."""

    link: Link
    scripts: Scripts
    prefix: str
    settings: StoreSettings
    wakeups: Wakeups
    replicas: int = 0
    calls: int = 0


class OnRedis:
    """A handle's steps."""

    def __init__(self, footing: Footing) -> None:
        self._footing = footing
        self._meta = f"{footing.prefix}meta".encode()
        # For how long an ended task is kept, by outcome, as the scripts want it.
        self._ttl = b" ".join(b"%d" % footing.settings.kept_ms(status) for status in ENDS)

    @property
    def footing(self) -> Footing:
        """For parts of this plugin that are no group of steps."""
        return self._footing

    async def _step(self, name: str, *args: bytes | str | int, durable: bool = False) -> list[Any]:
        """Run one step; raise `FencedError` where it says so. Returns its answer.

        ``durable`` marks what the profile *strict* promises not to lose.
        """
        footing, sent = self._footing, self._sent(args)
        answer = await footing.link.run(
            footing.scripts[name], self._meta, sent, replicas=footing.replicas if durable else 0
        )
        if name not in {"renew", "resign", "step_down"}:
            _check_fence(answer, sent)
        return answer

    async def _step_when_woken(
        self, who: str, timeout_s: float, name: str, *args: bytes | str | int
    ) -> tuple[bool, list[Any]]:
        """Run a step as soon as a wake-up comes, or after the time; whether one came, and the
        answer.

        Only for a step that may run at any time, and more than once.
        """
        footing, sent = self._footing, self._sent(args)
        refusal = footing.link.write_refusal()
        if refusal is not None:
            raise refusal
        call = packed(footing.scripts[name], self._meta, sent)
        heard = await footing.wakeups.wait_and_run(who, timeout_s, call, sent[0])
        if heard.answer is None:
            return heard.woken, await self._step(name, *args)  # refused: call it as any step
        _check_fence(heard.answer, sent)
        return heard.woken, heard.answer

    def _sent(self, args: Iterable[bytes | str | int]) -> list[bytes]:
        """The arguments of a step, its nonce first."""
        self._footing.calls += 1
        given = (arg if isinstance(arg, bytes) else str(arg).encode() for arg in args)
        return [b"%d" % self._footing.calls, *given]


def _check_fence(answer: list[Any], sent: list[bytes]) -> None:
    if answer[0] == b"FENCED":
        held = decode(answer[1])
        raise FencedError(
            f"the leader lock is not held as {decode(sent[1])!r}; "
            + (f"it is held as {held!r}" if held else "nobody holds it")
        )


def store_time(row: bytes) -> StoreTime:
    """The reading of the clock in an answer."""
    wall, now, gen, fraction = row.split()
    return StoreTime(
        wall_ms=int(wall), now_ms=int(now), clock_gen=int(gen), fraction_ms=float(fraction)
    )
