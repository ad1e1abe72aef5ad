"""Leaders that fire one config as pods do: to see which instants a failover has fired twice."""

import asyncio
import time
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm, StoredConfig
from dsched.contracts.store.firing import Fire
from dsched.contracts.store.outcomes import FencedError, Outcome, RunOutcome, StoreError
from dsched.model import Overlap, TaskConfig
from dsched.planning import PlannedRun

PERIOD_MS = 50
_CONFIG = TaskConfig(
    id="ticks", executor="local", every=timedelta(minutes=1), overlap=Overlap.ALLOW
)
_TTL_MS = 3000
_RENEW_EVERY_S = 1.0
# As a leader of the engine: the lock's time less 15 %.
_TRUST_S = 2.55
_RUNS = 40


@attrs.define
class Fires:
    """Which instants were acknowledged as fired, and how often."""

    fired: Counter[int] = attrs.field(factory=Counter)

    @property
    def twice(self) -> int:
        """How many instants were fired more than once."""
        return sum(count > 1 for count in self.fired.values())

    async def begin(self, store: Store) -> None:
        """Put the config; its first instant is now."""
        now_ms = (await store.now()).wall_ms
        rearm = Rearm(read=ConfigVersion(), upto_ms=0, next_due_ms=now_ms)
        await store.put([PutConfig(config=_CONFIG, rearm=rearm)], by="fires")

    async def lead(self, store: Store, name: str) -> None:
        """Lead whenever the lock is free, and fire what is due, until cancelled."""
        fence, renewed_s = "", 0.0
        while True:
            try:
                began_s = time.monotonic()
                if not fence:
                    fence = await _acquired(store, name)
                    renewed_s = began_s
                elif began_s - renewed_s > _TRUST_S:
                    fence = ""
                elif began_s - renewed_s > _RENEW_EVERY_S:
                    outcome = await store.renew(fence, _TTL_MS)
                    fence = fence if outcome is Outcome.OK else ""
                    renewed_s = began_s
                if fence:
                    await self._fire(store, fence)
            except FencedError:
                fence = ""
            except StoreError:
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.02 if fence else 0.3)

    async def _fire(self, store: Store, fence: str) -> None:
        look = await store.poll(fence, 1)
        for stored in look.due.configs:
            fire = _of(stored, look.due.time.wall_ms)
            (answer,) = await store.fire(fence, [fire])
            for run, outcome in zip(fire.runs, answer.runs, strict=False):
                if outcome is RunOutcome.FIRED:
                    self.fired[run.scheduled_ms] += 1


def _of(stored: StoredConfig, now_ms: int) -> Fire:
    due_ms = stored.due_ms or now_ms
    owed = min(_RUNS, (now_ms - due_ms) // PERIOD_MS + 1)
    instants = [due_ms + at * PERIOD_MS for at in range(owed)]
    return Fire(
        config_id=stored.config.id,
        revision=stored.config.revision,
        due_ms=due_ms,
        runs=tuple(PlannedRun(scheduled_ms=one, not_before_ms=0) for one in instants),
        next_due_ms=instants[-1] + PERIOD_MS,
    )


async def _acquired(store: Store, name: str) -> str:
    answer = await store.acquire(name, uuid4().hex, _TTL_MS)
    return answer.fence if answer.outcome is Outcome.OK else ""
