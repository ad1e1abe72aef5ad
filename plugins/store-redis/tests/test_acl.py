"""The shipped user has what dsched needs, and nothing more."""

import re
from importlib import resources
from typing import Any

import pytest

from dsched.contracts.store.outcomes import Outcome, StoreRefusedError, StoreUnavailableError
from dsched.contracts.store.settings import StoreSettings
from dsched.contracts.store.working import Completion
from dsched.model import TaskResult
from dsched_store_redis.moving import RedisMover
from dsched_store_redis.options import Durability, RedisOptions
from dsched_store_redis.scripts import Scripts
from dsched_testkit.servers import RedisServer

ACL = resources.files("dsched_store_redis").joinpath("dsched.acl").read_text(encoding="utf-8")
RULE = next(line for line in ACL.splitlines() if line.startswith("user "))
# What the client sends besides scripts.
CLIENT = {
    "ping", "select", "info", "wait", "hello", "client|id", "client|setname",
    "client|unblock", "eval", "evalsha", "blpop",
}  # fmt: skip


def _used() -> set[str]:
    found: set[str] = set()
    for script in Scripts.assemble(flags=True).by_name.values():
        text = script.text.decode()
        found |= set(re.findall(r"(?:call|probe)\('([A-Z]+)'", text))
    return {word.lower() for word in found}


def test_the_user_may_run_exactly_what_is_used() -> None:
    granted = set(re.findall(r"\+(\S+)", RULE))
    assert granted == _used() | CLIENT


@pytest.fixture
def guarded() -> Any:
    """A server on which only the shipped user works."""
    with RedisServer(password="admin") as server:
        server.command("ACL", "SETUSER", *RULE.split()[1:])
        yield server


async def test_everything_runs_under_the_shipped_user(
    guarded: RedisServer, opener: Any, populated: Any
) -> None:
    who = {"username": "dsched", "password": "change-me"}
    async with opener(guarded, key_prefix="dsched:", **who) as store:
        state = await populated(store)
        done = Completion(task_id="run", token=state.token, success=True, result=TaskResult())
        assert await store.complete([done], by="w1") == (Outcome.OK,)
        assert await store.wakeup("leader", 1)
        assert not await store.wakeup("leader", 0.05)
        await store.collect(state.fence, 100)
        await store.prune(state.fence, 10)
        await store.counts()
        await store.put_document("kind", "more", 1, read=0, ttl_ms=1000)
        await store.list_documents("kind", None, 10, descending=True)
        await store.drop_document("kind", "kept", read=state.document.version)
        await store.drain("w1", None)
        await store.resign(state.fence)


async def test_a_backup_needs_one_permission_more_and_says_which(
    guarded: RedisServer, opener: Any, populated: Any
) -> None:
    who = {"username": "dsched", "password": "change-me"}
    async with opener(guarded, key_prefix="dsched:", **who) as store:
        await store.resign((await populated(store)).fence)
    options = RedisOptions(
        addr=guarded.addr, key_prefix="dsched:", durability=Durability.DEV, **who
    )
    mover = RedisMover(options, StoreSettings())
    with pytest.raises(StoreRefusedError, match=r"give it \+scan, or name another user"):
        await _parts(mover)
    guarded.command("ACL", "SETUSER", "dsched", "+scan")
    assert {"run", "kept"} <= await _parts(mover)


async def _parts(mover: RedisMover) -> set[str]:
    """The ids of the tasks and documents that are read."""
    async with mover.reading() as source:
        parts = [part async for part in source.parts()]
    tasks = {moved.task.id for part in parts for moved in part.tasks}
    return tasks | {one.id for part in parts for one in part.documents}


async def test_the_shipped_user_reaches_no_other_keys_and_no_other_commands(
    guarded: RedisServer, opener: Any
) -> None:
    who = {"username": "dsched", "password": "change-me"}
    with pytest.raises(StoreRefusedError, match="permission"):
        async with opener(guarded, key_prefix="other:", **who):
            pass
    async with opener(guarded, key_prefix="dsched:", **who) as store:
        for words in ((b"KEYS", b"*"), (b"FLUSHALL",), (b"CONFIG", b"SET", b"save", b"")):
            # Once it runs a permission that is missing may be granted: it is tried again.
            with pytest.raises(StoreUnavailableError, match="permission"):
                await store._footing.link.command(*words)
