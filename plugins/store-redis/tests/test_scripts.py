"""The scripts themselves: their text, their keys, and that none half-applies a step (F12)."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from importlib import resources
from typing import Any

import pytest
from redis.crc import key_slot

from dsched.contracts.store.collecting import Finished, Projection
from dsched.contracts.store.configs import ConfigVersion, PutConfig, Rearm
from dsched.contracts.store.dispatching import Choice, Deferral
from dsched.contracts.store.firing import Fire, Replan
from dsched.contracts.store.history import Loss, Lost, Mark
from dsched.contracts.store.operating import PodRecord
from dsched.contracts.store.outcomes import FencedError, StoreRefusedError
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.recovering import Reap
from dsched.contracts.store.runs import Advance, Birth
from dsched.contracts.store.statistics import Rollup
from dsched.contracts.store.tasklogs import LineBatch, NewLine
from dsched.contracts.store.workers import Held
from dsched.contracts.store.working import Completion, Progress, Release, Submission
from dsched.model import (
    Ability,
    Decision,
    DecisionUpdate,
    Home,
    Limit,
    TaskConfig,
    TaskResult,
    TaskSpec,
    TaskStatus,
    Verdict,
)
from dsched.planning import PlannedRun
from dsched.planning.runs import RunEnd, SkippedStep
from dsched_store_redis.scripts import Scripts, script_names
from dsched_store_redis.store import RedisStore
from dsched_testkit.servers import RedisServer

SPEC = TaskSpec(executor="local", payload={"call": "other"})
ROUTED = TaskSpec(executor="local", required_labels={"a": "b"})
Step = Callable[[RedisStore, Any], Awaitable[Any]]


def _completion(state: Any, **fields: Any) -> Completion:
    defaults = {"task_id": "run", "token": state.token, "success": True, "result": TaskResult()}
    return Completion(**(defaults | fields))


def _fire(state: Any) -> Fire:
    return Fire(
        config_id="going",
        revision=state.going.config.revision,
        due_ms=state.going.due_ms,
        runs=(PlannedRun(scheduled_ms=state.now_ms - 1000, not_before_ms=0),),
    )


def _config(config_id: str) -> PutConfig:
    config = TaskConfig(id=config_id, executor="local", every=timedelta(minutes=2))
    return PutConfig(config=config, rearm=Rearm(read=ConfigVersion(), upto_ms=0, next_due_ms=5))


def _lines(task_id: str, token: str) -> LineBatch:
    found = tuple(NewLine(number=n, age_ms=n, text=f"line {n}") for n in range(1, 601))
    return LineBatch(task_id=task_id, token=token, lines=found)


def _projection(after: str) -> Projection:
    decision = Decision(config_id="held", verdict=Verdict.FIRED, first_ms=5, last_ms=5)
    finished = Finished(task_id="held@5", status=TaskStatus.FAILED, end_ms=7)
    miss = Decision(
        config_id="held", verdict=Verdict.MISSED, first_ms=4, last_ms=4, reason="leaderless"
    )
    skip = Decision(config_id="held", verdict=Verdict.SKIPPED, first_ms=3, last_ms=4)
    update = DecisionUpdate(config_id="held", first_ms=5, worker_id="w", ended="failed")
    rollup = Rollup(config_id="held", hour_ms=0, adds={"runs": 1}, tops={"w": 5})
    return Projection(
        after=after,
        upto="9-9",
        decisions=(miss, skip, decision),
        finished=(finished,),
        updates=(update,),
        rollups=(rollup,),
    )


LOST = Lost(loss=Loss.RESTORED, identity="i", epoch=2**50, revision=2**50)
STEPS: dict[str, Step] = {
    "now": lambda s, _: s.now(),
    "acquire": lambda s, _: s.acquire("pod", "other", 5000),
    "renew": lambda s, x: s.renew(x.fence, 5000),
    "resign": lambda s, x: s.resign(x.fence),
    "leader": lambda s, _: s.leader(),
    "register": lambda s, x: s.register(
        x.worker.__class__(
            worker_id="w1",
            incarnation="2-b",
            capacity=1,
            backlog=1,
            heartbeat_timeout_ms=1000,
            ability=Ability.of(["local"]),
        )
    ),
    "heartbeat": lambda s, x: s.heartbeat("w1", "1-a", [Held("run", x.token)]),
    "workers": lambda s, _: s.workers(),
    "abilities": lambda s, _: s.abilities(["d" * 32, "e" * 32]),
    "drain": lambda s, _: s.drain("w1", None),
    "deregister": lambda s, _: s.deregister("w1", "1-a"),
    "put": lambda s, _: s.put([_config("new"), _config("another")], by="me"),
    "get_configs": lambda s, _: s.get_configs(["held", "going"]),
    "list_configs": lambda s, _: s.list_configs(None, 10),
    "delete": lambda s, x: s.delete("paused", Rearm(read=x.paused.version, upto_ms=1), by="me"),
    "pause": lambda s, x: s.pause(
        "going", Rearm(read=x.going.version, upto_ms=1), by="me", why="w"
    ),
    "resume": lambda s, x: s.resume("paused", Rearm(read=x.paused.version, upto_ms=1), by="me"),
    "poll": lambda s, x: s.poll(x.fence, 10),
    "due": lambda s, x: s.due(x.fence, 10),
    "fire": lambda s, x: s.fire(x.fence, [_fire(x)]),
    "replan": lambda s, x: s.replan(
        x.fence,
        [
            Replan(
                config_id="going",
                revision=x.going.config.revision,
                due_ms=x.going.due_ms,
                next_due_ms=9,
                last_fired_ms=None,
            )
        ],
    ),
    "promote": lambda s, x: s.promote(x.fence, 10),
    "open_runs": lambda s, x: s.open_runs(x.fence, {"flow": 1}, 10),
    "advance": lambda s, x: s.advance(
        x.fence,
        [
            Advance(
                run_id="flow",
                version=3,
                skips=(SkippedStep(step="d", status=TaskStatus.FAILED, reason="r" * 90),),
                births=(Birth(name="new", spec=ROUTED),),
                cancels=("a",),
                cancel_reason="r" * 90,
            ),
            Advance(
                run_id="ending",
                version=4,
                end=RunEnd(status=TaskStatus.FAILED, reason="r" * 90),
            ),
        ],
    ),
    "run_lines": lambda s, _: s.run_lines("flow", 0, 10),
    "ready": lambda s, x: s.ready(x.fence, 0, 10),
    "dispatch": lambda s, x: s.dispatch(
        x.fence,
        [Choice(task_id="ready", worker_id="w1")],
        [Deferral(task_id=f"held@{x.now_ms - 1000}", delay_ms=9, reason="x" * 90)],
        skip=0,
        limit=10,
    ),
    "recall": lambda s, x: s.recall(x.fence, ["queued"], 0),
    "overdue": lambda s, x: s.overdue(x.fence, 10, 0),
    "reap": lambda s, x: s.reap(
        x.fence, [Reap(task_id="run", token=x.token, fail_reason="poison", error="e")]
    ),
    "prune": lambda s, x: s.prune(x.fence, 10),
    "collect": lambda s, x: s.collect(x.fence, 10),
    "project": lambda s, x: s.project(x.fence, _projection("0-0")),
    "submit": lambda s, _: s.submit(
        [Submission(task_id="new", spec=SPEC), Submission(task_id="ready", spec=SPEC)], by="me"
    ),
    "claim": lambda s, _: s.claim("w1", "1-a", 0, 2, 10),
    "complete": lambda s, x: s.complete(
        [_completion(x, success=False, error="e", reason="r" * 90)], by="w1"
    ),
    "release": lambda s, x: s.release(
        [Release(task_id="run", token=x.token, reason="stop")], by="w1"
    ),
    "cancel": lambda s, x: s.cancel(
        ["run", "ready", "queued", "slow", "flow", "flow~b", f"held@{x.now_ms - 1000}"],
        by="me",
        reason="r",
    ),
    "progress": lambda s, x: s.progress([Progress("run", x.token, {"done": 1})]),
    "append_lines": lambda s, x: s.append_lines(
        [_lines("run", x.token), _lines("done", x.token), _lines("gone", x.token)]
    ),
    "task_lines": lambda s, _: s.task_lines("done", None, 10),
    "get": lambda s, _: s.get(["run", "done", "ready"], full=True),
    "list_tasks": lambda s, _: s.list_tasks(_ready_query(), None, 10),
    "events": lambda s, _: s.events(None, 10),
    "decisions": lambda s, _: s.decisions("held", None, 10),
    "raise_missed": lambda s, _: s.raise_missed(0, 0, 10, by="pod2"),
    "raise_leaderless": lambda s, _: s.raise_leaderless(0, by="pod2"),
    "stats": lambda s, _: s.stats(None, 0, 7_200_000),
    "counts": lambda s, _: s.counts(),
    "get_document": lambda s, _: s.get_document("kind", "kept"),
    "put_document": lambda s, _: s.put_document("kind", "new", {"a": 1}, read=0, ttl_ms=60_000),
    "drop_document": lambda s, x: s.drop_document("kind", "kept", read=x.document.version),
    "list_documents": lambda s, _: s.list_documents("kind", None, 10),
    "skip": lambda s, x: s.skip(
        "going", x.going.config.revision, [x.now_ms + 9**9], by="m", why=""
    ),
    "undrain": lambda s, _: s.undrain("w1", by="me"),
    "resize": lambda s, _: s.resize("w1", 3, by="me"),
    "step_down": lambda s, x: s.step_down(x.fence, by="me", why="w", rest_ms=5),
    "terms": lambda s, _: s.terms(None, 10),
    "pod_seen": lambda s, _: s.pod_seen(
        PodRecord(id="p", name="n", roles=("worker",), version="1", started_ms=5), 9000
    ),
    "pod_left": lambda s, _: s.pod_left("p"),
    "pods": lambda s, _: s.pods(),
    "history": lambda s, _: s.history(Mark("1-1", 1)),
    "raise_break": lambda s, _: s.raise_break(0, LOST, by="pod"),
    "shut_classes": lambda s, _: s.shut_classes(None, 10),
    "put_limit": lambda s, _: s.put_limit(Limit(id="crm", max_running=3)),
    "drop_limit": lambda s, _: s.drop_limit("crm", force=True),
    "get_limits": lambda s, _: s.get_limits(["crm"]),
    "list_limits": lambda s, _: s.list_limits(None, 10),
    "limit_uses": lambda s, _: s.limit_uses(None, 10, of="crm"),
    "place_in_line": lambda s, _: s.place_in_line("crm", "waits"),
    "store_format": lambda s, _: s.store_format(),
    "migrate": lambda s, _: s.migrate(by="me"),
}


def _ready_query() -> Any:
    return TaskQuery(home=Home.READY)


# Keys that a step may create, beside those that are there.
FRESH = (
    "task:detail:new", "task:note:run", "task:note:ready", "decision:held", "decision:index",
    "finished:config:held", "finished:status:failed", "worker:draining", "worker:stalled",
    "worker:ability", "config:detail:new", "config:held", "task:held", "config:delay",
    "task:live:going", "config:origin", "bell:leader", "bell:w1",
    "task:ended", "task:deadline", "task:route",
    "document:kind:new", "documents:kind", "document:expiry",
    "task:detail:flow~new", "task:note:flow", "task:note:flow~a", "task:note:ending",
    "run:skipped:flow", "task:ended:cancelled",
    "task:lines:run", "task:linecount:run",
    "schedule:terms", "pod:index", "pod:detail",
)  # fmt: skip


def test_every_step_has_a_script_and_every_script_a_step() -> None:
    assert set(script_names()) == set(STEPS) | {"init"}


@pytest.mark.parametrize("flags", [True, False])
def test_scripts_carry_flags_only_where_the_server_knows_them(flags: bool) -> None:
    scripts = Scripts.assemble(flags=flags)
    for name, script in scripts.by_name.items():
        assert script.text.startswith(b"#!lua") is flags
        if flags:
            # A full server goes on ending and draining, and takes nothing new (F51).
            admits = name in {
                *("submit", "put", "fire", "advance", "put_document", "put_limit", "append_lines")
            }
            assert script.text.startswith(b"#!lua flags=allow-oom\n") is not admits


def test_every_rare_field_of_a_task_is_kept_when_it_ends() -> None:
    folder = resources.files("dsched_store_redis") / "scripts"
    text = (folder / "_tasks.lua").read_text(encoding="utf-8")
    listed = re.search(r"RARE_FIELDS = \{(.*?)\}", text, re.DOTALL)
    asked = re.search(r"function rare_text.*?if not \((.*?)\) then", text, re.DOTALL)
    assert listed is not None
    assert asked is not None
    assert re.findall(r"row\.(\w+)", asked[1]) == re.findall(r"'(\w+)'", listed[1])


def test_no_script_walks_the_key_space() -> None:
    for script in Scripts.assemble(flags=True).by_name.values():
        for banned in (b"'KEYS'", b"'SCAN'", b"'HSCAN'", b"'FLUSH", b"'CONFIG'", b"cjson"):
            assert banned not in script.text


async def _keys(store: RedisStore) -> list[bytes]:
    prefix = store._footing.prefix.encode()
    return sorted(await store._footing.link.command(b"KEYS", prefix + b"*"))


# Everything under a prefix, as (key, dump, whether it expires); and back.
CONTENT = b"""
local found = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  found[#found + 1] = key
  found[#found + 1] = redis.call('DUMP', key)
  found[#found + 1] = redis.call('PTTL', key) >= 0 and '600000' or '0'
end
return found
"""
RESTORE = b"""
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  redis.call('DEL', key)
end
for i = 2, #ARGV, 3 do
  redis.call('RESTORE', ARGV[i], ARGV[i + 2], ARGV[i + 1])
end
"""


async def _content(store: RedisStore) -> dict[bytes, tuple[bytes, bytes]]:
    prefix = store._footing.prefix.encode()
    flat = await store._footing.link.command(b"EVAL", CONTENT, b"0", prefix)
    return {flat[at]: (flat[at + 1], flat[at + 2]) for at in range(0, len(flat), 3)}


async def _restore(store: RedisStore, content: dict[bytes, tuple[bytes, bytes]]) -> None:
    prefix = store._footing.prefix.encode()
    flat = [part for key, (dump, ttl) in content.items() for part in (key, dump, ttl)]
    await store._footing.link.command(b"EVAL", RESTORE, b"0", prefix, *flat)


async def _spoil(store: RedisStore, key: bytes) -> None:
    """Give a key a type that no step expects: a bitmap-free string, or a list for strings."""
    link = store._footing.link
    kind = await link.command(b"TYPE", key)
    await link.command(b"DEL", key)
    if kind == b"string":
        await link.command(b"RPUSH", key, b"spoiled")
    else:
        await link.command(b"SET", key, b"spoiled")


@pytest.mark.parametrize("name", sorted(STEPS))
async def test_a_step_that_meets_a_wrong_type_changes_nothing(
    name: str, shared_server: RedisServer, opener: Any, populated: Any
) -> None:
    async with opener(shared_server) as store:
        state = await populated(store)
        whole = await _content(store)
        prefix = store._footing.prefix.encode()
        refused = 0
        for key in sorted({*whole, *(prefix + fresh.encode() for fresh in FRESH)}):
            await _restore(store, whole)
            await _spoil(store, key)
            before = await _content(store)
            try:
                await STEPS[name](store, state)
            except StoreRefusedError:
                refused += 1
                assert await _content(store) == before, key
        # At least the log and the clock are read by every step.
        assert refused >= 2


async def test_all_keys_of_a_prefix_with_a_hash_tag_lie_in_one_slot(
    shared_server: RedisServer, opener: Any, populated: Any
) -> None:
    async with opener(shared_server, key_prefix="{slot}:") as store:
        state = await populated(store)
        # Whatever the last of these does: every step has been called once on what is there.
        last = {"resign", "deregister", "delete"}
        for name in [*(set(STEPS) - last), *last]:
            await _ignoring_fences(STEPS[name](store, state))
        keys = await _keys(store)
        assert len(keys) > 20
        assert len({key_slot(key) for key in keys}) == 1
        assert len({key_slot(key.replace(b"{slot}", b"")) for key in keys}) > 1


async def _ignoring_fences(step: Awaitable[Any]) -> None:
    try:
        await step
    except FencedError:
        return
