"""Records that this dsched cannot read (F71): each fails by itself, and the rest goes on."""

from typing import Any

from dsched.contracts.store import Store
from dsched.contracts.store.codec import UNREADABLE
from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm
from dsched.contracts.store.dispatching import Choice, Deferral
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Submission
from dsched.model import TaskConfig, TaskSpec, from_ms
from dsched_testkit.servers import RedisServer


async def _led_with_a_worker(store: Store) -> str:
    """The fence; the worker is called w."""
    worker = Registration(
        worker_id="w", incarnation="1", capacity=5, backlog=5, heartbeat_timeout_ms=60_000
    )
    await store.register(worker)
    return (await store.acquire("a", "t", 60_000)).fence


async def test_an_unreadable_snapshot_is_claimed_as_such_beside_a_sound_one(
    shared_server: RedisServer, opener: Any
) -> None:
    async with opener(shared_server, key_prefix="unreadable1:") as store:
        fence = await _led_with_a_worker(store)
        spec = TaskSpec(executor="fn", payload="x")
        items = [Submission(task_id="a", spec=spec), Submission(task_id="b", spec=spec)]
        await store.submit(items, by="test")
        shared_server.command("SET", "unreadable1:task:body:a", '{"v":9}')
        choices = [Choice(task_id="a", worker_id="w"), Choice(task_id="b", worker_id="w")]
        await store.dispatch(fence, choices, [], skip=0, limit=10)
        claimed = await store.claim("w", "1", 0, 1, 10)
        executors = {task.id: task.spec.executor for task in claimed.tasks}
        assert executors == {"a": UNREADABLE, "b": "fn"}


async def test_an_unreadable_config_is_due_as_such_beside_a_sound_one(
    shared_server: RedisServer, opener: Any
) -> None:
    async with opener(shared_server, key_prefix="unreadable2:") as store:
        fence = (await store.acquire("a", "t", 60_000)).fence
        now_ms = (await store.now()).wall_ms
        rearm = Rearm(read=ConfigVersion(), upto_ms=now_ms, next_due_ms=now_ms)
        configs = [
            TaskConfig(id=name, executor="fn", payload=name, at=from_ms(now_ms))
            for name in ("broken", "sound")
        ]
        await store.put([PutConfig(config=one, rearm=rearm) for one in configs], by="test")
        shared_server.command("SET", "unreadable2:config:body:broken", "no json")
        page = await store.due(fence, 10)
        executors = {stored.config.id: stored.config.executor for stored in page.configs}
        assert executors == {"broken": UNREADABLE, "sound": "fn"}


async def test_an_entry_whose_task_somebody_removed_goes_and_stops_no_other(
    shared_server: RedisServer, opener: Any
) -> None:
    async with opener(shared_server, key_prefix="unreadable3:") as store:
        fence = await _led_with_a_worker(store)
        spec = TaskSpec(executor="fn", payload="x")
        items = [Submission(task_id=name, spec=spec) for name in "abc"]
        await store.submit(items, by="test")
        await store.dispatch(
            fence, [], [Deferral(task_id="c", delay_ms=0, reason="r")], skip=0, limit=1
        )
        shared_server.command("DEL", "unreadable3:task:detail:a", "unreadable3:task:detail:c")
        look = await store.poll(fence, 10)
        assert look.promoted.count == 1
        assert [task.id for task in look.ready.tasks] == ["a", "b"]
        choices = [Choice(task_id=name, worker_id="w") for name in "ab"]
        dispatched = await store.dispatch(fence, choices, [], skip=0, limit=10)
        assert dispatched.choices == (Outcome.STALE, Outcome.OK)
        assert dispatched.page.tasks == ()
