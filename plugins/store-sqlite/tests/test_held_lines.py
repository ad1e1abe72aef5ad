"""An earlier build knows one held task a config: what it leaves behind of several (ADR 0041)."""

import sqlite3
from datetime import timedelta

import pytest

from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm
from dsched.contracts.store.firing import Fire
from dsched.contracts.store.outcomes import RunOutcome
from dsched.model import Overlap, TaskConfig
from dsched.planning import PlannedRun

# Its `complete` of the first frees one held task where no other lives; here two do. Its `cancel`
# of a held one forgets what is held.
COMPLETED = "UPDATE living SET live = 2 WHERE config_id = 'q'"
CANCELLED = "UPDATE living SET live = 2, held = NULL WHERE config_id = 'q'"


@pytest.mark.parametrize("left", [COMPLETED, CANCELLED])
async def test_what_an_earlier_build_did_not_release_goes_on_with_the_next_fire(opened, file, left):
    async with opened() as store:
        fence = (await store.acquire("a", "t", 60_000)).fence
        first_ms = (await store.now()).wall_ms - 60_000
        config = TaskConfig(
            id="q", executor="fn", every=timedelta(minutes=1), overlap=Overlap.QUEUE_ALL
        )
        rearm = Rearm(read=ConfigVersion(), upto_ms=0, next_due_ms=first_ms)
        (answer,) = await store.put([PutConfig(config=config, rearm=rearm)], by="test")

        async def fire(due_ms, *instants):
            fire = Fire(
                config_id="q",
                revision=answer.stored.config.revision,
                due_ms=due_ms,
                runs=tuple(PlannedRun(scheduled_ms=ms, not_before_ms=0) for ms in instants),
                next_due_ms=instants[-1] + 1,
            )
            (fired,) = await store.fire(fence, [fire])
            return fired.runs

        await fire(first_ms, first_ms, first_ms + 1, first_ms + 2)
        with sqlite3.connect(file) as db:
            db.execute(left)
            db.execute(
                "UPDATE task SET status = 'success', home = NULL, live_of = NULL WHERE id = ?",
                (f"q@{first_ms}",),
            )
        db.close()
        assert await fire(first_ms + 3, first_ms + 10) == (RunOutcome.HELD,)
        page = await store.ready(fence, 0, 10)
        assert [task.scheduled_ms - first_ms for task in page.tasks] == [1]
        await store.cancel([page.tasks[0].id], by="test", reason="done")
        page = await store.ready(fence, 0, 10)
        assert [task.scheduled_ms - first_ms for task in page.tasks] == [2]
