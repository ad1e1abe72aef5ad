"""Records that this dsched cannot read (F71): each fails by itself, and the rest goes on."""

import sqlite3

from dsched.contracts.store.codec import UNREADABLE
from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm
from dsched.contracts.store.dispatching import Choice
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Submission
from dsched.model import TaskConfig, TaskSpec, from_ms


async def test_an_unreadable_snapshot_is_claimed_as_such_beside_a_sound_one(opened, file):
    spec = TaskSpec(executor="fn", payload="x")
    async with opened() as store:
        fence = (await store.acquire("a", "t", 60_000)).fence
        worker = Registration(
            worker_id="w", incarnation="1", capacity=5, backlog=5, heartbeat_timeout_ms=60_000
        )
        await store.register(worker)
        other = TaskSpec(executor="fn", payload="y")
        items = [Submission(task_id="a", spec=spec), Submission(task_id="b", spec=other)]
        await store.submit(items, by="test")
        with sqlite3.connect(file) as db:
            changed = db.execute("UPDATE body SET spec = '{\"v\":9}' WHERE spec LIKE '%\"x\"%'")
            assert changed.rowcount == 1
        db.close()
        choices = [Choice(task_id="a", worker_id="w"), Choice(task_id="b", worker_id="w")]
        await store.dispatch(fence, choices, [], skip=0, limit=10)
        claimed = await store.claim("w", "1", 0, 1, 10)
        executors = {task.id: task.spec.executor for task in claimed.tasks}
        assert executors == {"a": UNREADABLE, "b": "fn"}


async def test_an_unreadable_config_is_due_as_such_beside_a_sound_one(opened, file):
    async with opened() as store:
        fence = (await store.acquire("a", "t", 60_000)).fence
        now_ms = (await store.now()).wall_ms
        rearm = Rearm(read=ConfigVersion(), upto_ms=now_ms, next_due_ms=now_ms)
        configs = [
            TaskConfig(id=name, executor="fn", payload=name, at=from_ms(now_ms))
            for name in ("broken", "sound")
        ]
        await store.put([PutConfig(config=one, rearm=rearm) for one in configs], by="test")
        with sqlite3.connect(file) as db:
            db.execute("UPDATE config SET content = 'no json' WHERE id = 'broken'")
        db.close()
        page = await store.due(fence, 10)
        executors = {stored.config.id: stored.config.executor for stored in page.configs}
        assert executors == {"broken": UNREADABLE, "sound": "fn"}
