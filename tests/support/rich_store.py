"""A store with a thing of each kind, made by its own steps, and left by all pods."""

from datetime import timedelta

from dsched.contracts.store import Store
from dsched.contracts.store.collecting import Finished, Projection
from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm
from dsched.contracts.store.dispatching import Choice, Deferral
from dsched.contracts.store.firing import Fire
from dsched.contracts.store.runs import Advance, Birth
from dsched.contracts.store.statistics import EVERYTHING, HOUR_MS, Rollup
from dsched.contracts.store.tasklogs import LineBatch, LineLevel, NewLine
from dsched.contracts.store.workers import Registration
from dsched.contracts.store.working import Completion, Progress, Submission
from dsched.model import (
    Decision,
    DecisionUpdate,
    Member,
    Overlap,
    Step,
    TaskConfig,
    TaskResult,
    TaskSpec,
    TaskStatus,
    Verdict,
    Workflow,
)
from dsched.planning import PlannedRun
from dsched.planning.runs import RunEnd, SkippedStep

MINUTE = timedelta(minutes=1)


async def make_rich(store: Store) -> None:
    """Fill a store; nobody leads afterwards, and no pod is known."""
    fence = (await store.acquire("pod", "token", 60_000)).fence
    now_ms = (await store.now()).wall_ms
    await _put_configs(store, now_ms)
    await _fire(store, fence, now_ms)
    token = await _run_tasks(store, fence)
    await _say(store, token)
    await _project(store, fence, now_ms)
    await _run_many(store, fence)
    await store.put_document("kind", "kept", {"a": "b", "ü": [1, None]}, read=0)
    await store.put_document("kind", "fleeting", {"a": "b"}, read=0, ttl_ms=86_400_000)
    await store.put_document("other-kind", "kept", ["x"], read=0)
    await store.resign(fence)


async def _put_configs(store: Store, now_ms: int) -> None:
    configs = [
        TaskConfig(id="held", executor="local", every=MINUTE, overlap=Overlap.QUEUE_ALL),
        TaskConfig(id="going", executor="local", fixed_delay=MINUTE, priority=9),
        TaskConfig(id="off", executor="local", every=MINUTE, enabled=False, origin="file:tasks"),
        TaskConfig(
            id="routed",
            executor="http",
            cron_expr="*/5 * * * *",
            timezone="Europe/Berlin",
            payload={"url": "http://x", "ü": "\t\n"},
            required_labels={"disk": "ssd"},
            start_deadline=timedelta(minutes=5),
            origin="code:crm",
        ),
        TaskConfig(id="paused", executor="local", every=MINUTE, origin="file:tasks"),
    ]
    for config in configs:
        due_ms = now_ms - 1000 if config.enabled else None
        rearm = Rearm(read=ConfigVersion(), upto_ms=0, next_due_ms=due_ms)
        await store.put([PutConfig(config=config, rearm=rearm)], by="author")
    (paused, routed) = await store.get_configs(["paused", "routed"])
    assert paused is not None
    assert routed is not None
    later = (await store.now()).wall_ms + 600_000
    revision = routed.config.revision
    await store.skip("routed", revision, [later, later + 300_000], by="op", why='a "why"\tü')
    rearm = Rearm(read=paused.version, upto_ms=now_ms)
    await store.pause("paused", rearm, by="op", why="later\nor never")


async def _fire(store: Store, fence: str, now_ms: int) -> None:
    (held,) = await store.get_configs(["held"])
    assert held is not None
    instants = (now_ms - 900, now_ms - 600, now_ms - 300)
    fire = Fire(
        config_id="held",
        revision=held.config.revision,
        due_ms=now_ms - 1000,
        runs=tuple(PlannedRun(scheduled_ms=one, not_before_ms=0) for one in instants),
        next_due_ms=now_ms - 1,
    )
    await store.fire(fence, [fire])


async def _run_tasks(store: Store, fence: str) -> str:
    """Tasks in every home and with every end; the token of the first claim."""
    await store.register(
        Registration(
            worker_id="w1", incarnation="1-a", capacity=10, backlog=10, heartbeat_timeout_ms=30_000
        )
    )
    spec = TaskSpec(
        executor="local",
        payload={"call": "work", "ü": "\t"},
        required_labels={"a": "b"},
        start_deadline=timedelta(hours=1),
        priority=7,
    )
    names = ("run", "done", "good", "again", "queued", "ready", "deferred", "gone")
    items = [Submission(task_id=name, spec=spec, why="because") for name in names]
    await store.submit([*items, Submission(task_id="slow", spec=spec, delay_ms=60_000)], by="me")
    chosen = [Choice(task_id=name, worker_id="w1", why="least") for name in names[:4]]
    await store.dispatch(fence, chosen, [], skip=0, limit=10)
    claimed = await store.claim("w1", "1-a", 0, 1, 4)
    assert len(claimed.tasks) == 4
    good = TaskResult(code="200", message="well", data={"rows": [1, "ü", None]})
    await store.complete(
        [
            Completion(
                task_id="done",
                token=claimed.token,
                success=False,
                result=TaskResult(),
                error="a\nb",
            ),
            Completion(task_id="good", token=claimed.token, success=True, result=good),
            Completion(
                task_id="again",
                token=claimed.token,
                success=False,
                result=TaskResult(),
                error="e" * 100,
                retry_delay_ms=90_000,
            ),
        ],
        by="w1",
    )
    queued = [Choice(task_id="queued", worker_id="w1")]
    reason = "no worker of this kind is there, and none has been for a long time: a long reason"
    deferred = [Deferral(task_id="deferred", delay_ms=50_000, reason=reason)]
    await store.dispatch(fence, queued, deferred, skip=0, limit=10)
    await store.cancel(["gone"], by="op", reason="not wanted")
    await store.cancel(["run"], by="op", reason="stop it")
    return claimed.token


async def _run_many(store: Store, fence: str) -> None:
    """Runs of many tasks: open with members that live and have ended, ended, and for later."""
    flow = Workflow(steps=[Step(id=name, executor="local") for name in ("a", "b", "c")])
    spec = TaskSpec(executor="workflow", workflow=flow)
    ids = ("flow", "flown", "later-flow")
    items = [Submission(task_id=one, spec=spec) for one in ids[:2]]
    await store.submit([*items, Submission(task_id=ids[2], spec=spec, delay_ms=70_000)], by="me")
    await store.open_runs(fence, {}, 10)
    births = tuple(
        Birth(name=name, spec=TaskSpec(executor="local", member=Member(step=name)))
        for name in ("a", "b")
    )
    skip = SkippedStep(step="c", status=TaskStatus.FAILED, reason="a failed")
    await store.advance(fence, [Advance(run_id=one, version=0, births=births) for one in ids[:2]])
    members = [f"{one}~{name}" for one in ids[:2] for name in ("a", "b")]
    await store.register(
        Registration(
            worker_id="w2", incarnation="1-a", capacity=10, backlog=10, heartbeat_timeout_ms=30_000
        )
    )
    chosen = [Choice(task_id=one, worker_id="w2") for one in members if one != "flow~b"]
    await store.dispatch(fence, chosen, [], skip=0, limit=10)
    claimed = await store.claim("w2", "1-a", 1, 1, 4)
    done = [
        Completion(task_id=task.id, token=claimed.token, success=True, result=TaskResult(data=[1]))
        for task in claimed.tasks
    ]
    await store.complete(done, by="w2")
    end = RunEnd(status=TaskStatus.SUCCESS)
    await store.advance(
        fence,
        [
            Advance(run_id="flow", version=3, skips=(skip,)),
            Advance(run_id="flown", version=4, skips=(skip,), end=end),
        ],
    )


async def _say(store: Store, token: str) -> None:
    await store.progress([Progress(task_id="run", token=token, value={"done": 3})])
    for task_id, count in (("run", 3), ("good", 40), ("done", 1)):
        lines = tuple(
            NewLine(number=n, age_ms=10, text=f"line {n} ü \\", level=LineLevel.WARNING)
            for n in range(1, count + 1)
        )
        await store.append_lines([LineBatch(task_id=task_id, token=token, lines=lines)])
    jump = (NewLine(number=7, age_ms=1, text="after a gap"),)
    await store.append_lines([LineBatch(task_id="run", token=token, lines=jump)])


async def _project(store: Store, fence: str, now_ms: int) -> None:
    """What the collector makes of the first entries; the others it has not read yet."""
    page = await store.collect(fence, 6)
    fired = Decision(
        config_id="held", verdict=Verdict.FIRED, first_ms=now_ms - 900, last_ms=now_ms - 900,
        at_ms=now_ms, term=1, task_id=f"held@{now_ms - 900}",
    )  # fmt: skip
    skipped = Decision(
        config_id="removed", verdict=Verdict.SKIPPED, first_ms=now_ms - 5000, last_ms=now_ms - 1000,
        count=3, reason="misfire", at_ms=now_ms, trigger="every 1s",
    )  # fmt: skip
    hour_ms = now_ms - now_ms % HOUR_MS
    await store.project(
        fence,
        Projection(
            after=page.after,
            upto=page.cursor,
            decisions=(fired, skipped),
            finished=(Finished(task_id="good", status=TaskStatus.SUCCESS, end_ms=now_ms),),
            updates=(
                DecisionUpdate(
                    config_id="held", first_ms=now_ms - 900, worker_id="w1", worker_why="least",
                    ended="success",
                ),
            ),
            rollups=(
                Rollup(config_id=EVERYTHING, hour_ms=hour_ms, adds={"runs": 3}, tops={"r": 9}),
                Rollup(config_id="held", hour_ms=hour_ms - HOUR_MS, adds={"fires": 1, "w3": 1}),
            ),
        ),
    )  # fmt: skip
