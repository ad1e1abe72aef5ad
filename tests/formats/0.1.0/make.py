"""How the stores beside this file were made: with the code of dsched 0.1.0, which is no more here.

PYTHONPATH names the `src` folders of a checkout of 0.1.0: the core's and those of the two stores.
The argument is the port of a Redis with nothing in it. What both held, as that version reads it,
goes to `content.json`.
"""

import asyncio
import gzip
import json
import sqlite3
import sys
import tempfile
from datetime import timedelta
from itertools import chain
from pathlib import Path

import attrs
import redis
from dsched.contracts.codec import write_config, write_result, write_spec
from dsched.contracts.operating import PodRecord
from dsched.contracts.retention import StoreSettings
from dsched.contracts.steps import (
    Choice,
    Completion,
    ConfigVersion,
    Deferral,
    Fire,
    PutConfig,
    Rearm,
    Registration,
    Run,
    Submission,
)

from dsched.model import OnCrash, Overlap, RetryPolicy, TaskConfig, TaskResult, TaskSpec
from dsched_store_redis.options import Durability, RedisOptions
from dsched_store_redis.store import open_store
from dsched_store_sqlite.options import SqliteOptions
from dsched_store_sqlite.store import open_sqlite

HERE = Path(__file__).parent
SPEC = TaskSpec(
    executor="local",
    payload={"call": "wörk", "n": 2**60, "list": [1, None, "x"]},
    required_labels={"zone": "eu"},
    start_deadline=timedelta(days=3650),
    retry=RetryPolicy(max_retries=7, backoff_rate=1.5),
    on_crash=OnCrash.FAIL,
    affinity_key="key",
    priority=7,
)
TASKS = ("run", "done", "bad", "queued", "ready", "later", "slow", "gone")


async def put(store, config_id, now_ms, **fields):
    """A config that was due a second ago."""
    defaults = {"executor": "local", "every": timedelta(minutes=1)}
    config = TaskConfig(id=config_id, **(defaults | fields))
    rearm = Rearm(read=ConfigVersion(), upto_ms=0, next_due_ms=now_ms - 1000)
    (answer,) = await store.put([PutConfig(config=config, rearm=rearm)], by="author")
    return answer.stored


async def populate(store):
    """A task in every home and state; configs due, paused, held, with skips; a worker, a pod."""
    fence = (await store.acquire("pod", "token", 60_000)).fence
    worker = Registration(
        worker_id="w1",
        incarnation="1-a",
        capacity=10,
        backlog=10,
        heartbeat_timeout_ms=30_000,
        labels={"zone": "eu"},
    )
    await store.register(worker)
    now_ms = (await store.now()).wall_ms
    held = await put(store, "held", now_ms, overlap=Overlap.QUEUE_ONE, name="Täglich")
    await put(store, "going", now_ms, fixed_delay=timedelta(minutes=1), every=None)
    await put(store, "cron", now_ms, cron_expr="0 5 * * *", every=None, timezone="Europe/Berlin")
    paused = await put(store, "paused", now_ms, origin="file:tasks")
    await store.pause("paused", Rearm(read=paused.version, upto_ms=0), by="op", why="later")
    cron = (await store.get_configs(["cron"]))[0]
    await store.skip("cron", cron.config.revision, [now_ms + 10**9], by="op", why="not then")
    runs = tuple(Run(scheduled_ms=now_ms - ms, not_before_ms=0) for ms in (1000, 500))
    fire = Fire(
        config_id="held",
        revision=held.config.revision,
        due_ms=now_ms - 1000,
        runs=runs,
        next_due_ms=now_ms - 1,
    )
    await store.fire(fence, [fire])
    made = [Submission(task_id=name, spec=SPEC) for name in TASKS if name != "slow"]
    later = Submission(task_id="slow", spec=SPEC, delay_ms=60_000)
    await store.submit([*made, later], by="me")
    await store.cancel(["gone"], by="me", reason="not wanted")
    chosen = [Choice(task_id=name, worker_id="w1", why="least") for name in ("run", "done", "bad")]
    await store.dispatch(fence, chosen, [], skip=0, limit=10)
    claimed = await store.claim("w1", "1-a", 0, 1, 3)
    result = TaskResult(code="200", message="fine", data={"a": [1]})
    good = Completion(task_id="done", token=claimed.token, success=True, result=result)
    bad = Completion(
        task_id="bad", token=claimed.token, success=False, result=TaskResult(), error="a\nb"
    )
    await store.complete([good, bad], by="w1")
    await store.dispatch(
        fence,
        [Choice(task_id="queued", worker_id="w1")],
        [Deferral(task_id="later", delay_ms=5000, reason="no worker")],
        skip=0,
        limit=10,
    )
    await store.put_document("kind", "kept", {"a": "b"}, read=0)
    pod = PodRecord(id="p1", name="pod", roles=("worker",), version="0.1.0", started_ms=now_ms)
    await store.present(pod, 30_000)
    return now_ms


async def content(store, now_ms):
    """What that version reads of it."""
    held = [f"held@{now_ms - ms}" for ms in (1000, 500)]
    tasks = await store.get([*TASKS, *held], full=True)
    configs = (await store.list_configs(None, 100)).configs
    counts = await store.counts()
    events = (await store.events(None, 1000)).events
    return {
        "now_ms": now_ms,
        "tasks": [
            {
                "id": task.id,
                "status": task.status.value,
                "home": task.home and task.home.value,
                "worker_id": task.worker_id,
                "attempt": task.attempt,
                "reason": task.reason,
                "error": task.error,
                "spec": task.spec and write_spec(task.spec),
                "result": task.result and write_result(task.result),
            }
            for task in tasks
        ],
        "configs": [
            {
                "text": write_config(one.config),
                "revision": one.config.revision,
                "due_ms": one.due_ms,
                "last_fired_ms": one.last_fired_ms,
                "paused": one.paused and attrs.asdict(one.paused),
                "skips": [attrs.asdict(skip) for skip in one.skips],
            }
            for one in configs
        ],
        "by_status": {status.value: count for status, count in counts.by_status.items()},
        "by_home": {home.value: count for home, count in counts.by_home.items()},
        "events": [[str(one.kind), one.by, [dict(item) for item in one.items]] for one in events],
    }


async def on_sqlite():
    """The file."""
    with tempfile.TemporaryDirectory() as folder:
        file, copy = Path(folder) / "store.db", Path(folder) / "copy.db"
        async with open_sqlite(SqliteOptions(path=str(file)), StoreSettings()) as store:
            found = await content(store, await populate(store))
        with sqlite3.connect(file) as db:
            db.execute("VACUUM INTO ?", (str(copy),))
        (HERE / "store.db.gz").write_bytes(gzip.compress(copy.read_bytes(), mtime=0))
    return found


async def on_redis(port):
    """All keys, as commands that make them again."""
    options = RedisOptions(addr=f"127.0.0.1:{port}", durability=Durability.DEV)
    async with open_store(options, StoreSettings()) as store:
        found = await content(store, await populate(store))
    server = redis.Redis(port=port, decode_responses=True)
    commands = []
    for key in sorted(server.scan_iter()):
        kind = server.type(key)
        if kind == "string":
            commands.append(["SET", key, server.get(key)])
        elif kind == "hash":
            commands.append(["HSET", key, *chain.from_iterable(server.hgetall(key).items())])
        elif kind == "zset":
            pairs = server.zrange(key, 0, -1, withscores=True)
            commands.append(["ZADD", key, *chain.from_iterable((f"{s:.17g}", m) for m, s in pairs)])
        elif kind == "list" and not key.startswith("bell:"):
            commands.append(["RPUSH", key, *server.lrange(key, 0, -1)])
        elif kind == "set":
            commands.append(["SADD", key, *server.smembers(key)])
        elif kind == "stream":
            for cursor, fields in server.xrange(key):
                commands.append(["XADD", key, cursor, *chain.from_iterable(fields.items())])
    text = "".join(json.dumps(command) + "\n" for command in commands)
    (HERE / "redis.jsonl").write_text(text)
    return found


def main():
    """Make all three files."""
    found = {"sqlite": asyncio.run(on_sqlite()), "redis": asyncio.run(on_redis(int(sys.argv[1])))}
    (HERE / "content.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
