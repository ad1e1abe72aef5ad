"""Hostile ids and texts meet a real Redis: no foreign key, no script, no entry of theirs (S17,
S31)."""

from dsched.client import Client, ClientError
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.reading import TaskQuery
from dsched.contracts.store.settings import StoreSettings
from dsched.contracts.store.workers import Held
from dsched.contracts.store.working import Release, Submission
from dsched.model import Home, InvalidIdError, TaskSpec
from dsched_store_redis.options import Durability, RedisOptions
from dsched_store_redis.scripts import script_names
from dsched_store_redis.store import open_store
from dsched_testkit.servers import RedisServer

PREFIX = "mine:"
IDS = (
    *(
        "",
        " ",
        "*",
        "a*",
        "a{b}",
        "{}",
        "a\nb",
        "a\tb",
        "a\x00b",
        "../x",
        "a b",
        "@",
        "é",
        '"',
        "'",
    ),
    *(
        "]] redis.call('FLUSHALL') --",
        '","act":"put',
        "\ud800",
        "x" * 10_000,
        ":a",
        "schedule:leader\n",
    ),
)
TEXTS = (
    'quote " and \\ backslash',
    "line\nbreak\ttab\r",
    "]] redis.call('FLUSHALL') --",
    '","status":"success","x":"',
    "\u2028\x1b[31m\x00",
    "%s %d %1 {0} {config} {{7*7}} ${x}",
)


async def test_a_hostile_id_is_refused_or_unknown_and_touches_no_key():
    with RedisServer() as server:
        options = RedisOptions(addr=server.addr, key_prefix=PREFIX, durability=Durability.DEV)
        async with open_store(options, StoreSettings()) as store:
            client = Client(store)
            for value in IDS:
                await _refused(client, value)
                assert await store.get([value]) == (None,)
                assert (await store.cancel([value], by="me", reason="r"))[0].outcome == "UNKNOWN"
                assert await store.drain(value, None) is Outcome.NO_WORKER
                assert await store.undrain(value, by="me") is Outcome.NO_WORKER
                assert await store.resize(value, 3, by="me") is Outcome.NO_WORKER
                assert await store.skip(value, 1, [9**13], by="me", why="w") is Outcome.UNKNOWN
                held = await store.heartbeat("w", "1-a", [Held(value, "t")])
                assert held.lost == (value,)
                release = Release(task_id=value, token="t", reason="r")
                assert await store.release([release], by="me") == (Outcome.STALE,)
            keys = await store._footing.link.command(b"KEYS", b"*")
            assert sorted(keys) == [b"mine:meta"]


async def test_a_hostile_text_is_kept_as_it_is_and_makes_no_script_of_its_own():
    with RedisServer() as server:
        options = RedisOptions(addr=server.addr, key_prefix=PREFIX, durability=Durability.DEV)
        async with open_store(options, StoreSettings()) as store:
            for number, value in enumerate(TEXTS):
                spec = TaskSpec(executor="local", payload={value: [value]})
                item = Submission(task_id=f"t{number}", spec=spec, why=value)
                assert await store.submit([item], by=value) == (Outcome.OK,)
                await store.cancel([item.task_id], by=value, reason=value)
                (task,) = await store.get([item.task_id], full=True)
                assert task is not None
                assert task.spec is not None
                assert (task.spec.payload, task.reason) == ({value: [value]}, value)
            page = await store.events(None, 100)
            assert {event.by for event in page.events} == set(TEXTS)
            assert {
                item["why"] for event in page.events for item in event.items if "why" in item
            } == set(TEXTS)
            listed = await store.list_tasks(TaskQuery(home=Home.READY), None, 10)
            assert listed.tasks == ()
            info = (await store._footing.link.command(b"INFO", b"memory")).decode()
            cached = next(row for row in info.splitlines() if row.startswith("number_of_cached"))
            assert int(cached.partition(":")[2]) <= len(script_names())


async def _refused(client: Client, value: str) -> None:
    try:
        await client.submit(TaskSpec(executor="local", payload={}), task_id=value)
    except (InvalidIdError, ClientError):
        return
    raise AssertionError(f"{value!r} was accepted as an id")
