"""A password that is rotated, a permission that is taken away: said, tried again, and over."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from _pytest.logging import LogCaptureFixture

from dsched.contracts.store.outcomes import Outcome, StoreRefusedError, StoreUnavailableError
from dsched.contracts.store.working import Submission
from dsched.model import TaskSpec
from dsched_testkit.servers import RedisServer

SPEC = TaskSpec(executor="local")
OLD, NEW = "one-password", "another-password"


async def _submit(store: Any, task_id: str) -> tuple[Outcome, ...]:
    return await store.submit([Submission(task_id=task_id, spec=SPEC)], by="me")


def _drop_connections(server: RedisServer) -> None:
    """Every client has to connect anew."""
    with contextlib.suppress(ConnectionError):
        server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def _rotate(server: RedisServer) -> None:
    server.command("CONFIG", "SET", "requirepass", NEW)
    server.password = NEW
    _drop_connections(server)


async def _until_done(act: Callable[[], Awaitable[Any]], within_s: float = 15) -> Any:
    async with asyncio.timeout(within_s):
        while True:
            try:
                return await act()
            except StoreUnavailableError:
                await asyncio.sleep(0.02)


async def test_a_rotated_password_is_a_trouble_that_passes_and_is_said_once(
    opener: Any, caplog: LogCaptureFixture
) -> None:
    with RedisServer(password=OLD) as server, caplog.at_level(logging.INFO, "dsched.store.redis"):
        async with opener(server, password=OLD) as store, opener(server, password=OLD) as other:
            assert await _submit(store, "a") == (Outcome.OK,)
            _rotate(server)
            for handle in (store, other) * 5:
                with pytest.raises(StoreUnavailableError) as raised:
                    await _submit(handle, "b")
                if "credentials" not in str(raised.value) and raised.value.maybe_applied:
                    continue  # the connection had just been closed
                assert "redis.password" in str(raised.value)
                assert OLD not in str(raised.value)
                with pytest.raises(StoreUnavailableError):
                    await handle.wakeup("leader", 0.05)
            assert caplog.text.count("refuses the credentials") == 1
            server.command("CONFIG", "SET", "requirepass", OLD)
            server.password = OLD
            await _until_done(lambda: _submit(store, "b"))
            await _until_done(lambda: _submit(other, "c"))
            assert caplog.text.count("accepts the credentials again") == 1


async def test_refused_credentials_are_not_presented_again_at_each_call(opener: Any) -> None:
    with RedisServer(password=OLD) as server:
        async with opener(server, password=OLD) as store:
            await store.now()
            _rotate(server)
            server.command("ACL", "LOG", "RESET")
            for _ in range(200):
                with pytest.raises(StoreUnavailableError):
                    await store.now()
            assert sum(map(int, _counts(server))) <= 3


def _counts(server: RedisServer) -> list[str]:
    """How often each refused credential was presented, as the server's ACL LOG has it."""
    lines = str(server.command("ACL", "LOG")).splitlines()
    return [lines[at + 1] for at, line in enumerate(lines) if line == "count"]


async def test_a_password_by_file_is_read_again_before_a_new_connection(
    opener: Any, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(f"{OLD}\n")
    with RedisServer(password=OLD) as server:
        async with opener(server, password=OLD, password_file=str(file)) as store:
            await store.now()
            _rotate(server)
            with pytest.raises(StoreUnavailableError):
                await store.now()
            file.write_text(f"{NEW}\n")
            # At once, whatever pause the refusals have come to.
            assert await _until_done(lambda: _submit(store, "a"), 1) == (Outcome.OK,)


async def test_an_url_by_file_is_read_again_before_a_new_connection(
    opener: Any, tmp_path: Path
) -> None:
    file = tmp_path / "url"
    with RedisServer(password=OLD) as server:
        file.write_text(f"redis://:{OLD}@{server.addr}/0")
        async with opener(server, url=file.read_text(), url_file=str(file)) as store:
            await store.now()
            _rotate(server)
            file.write_text(f"redis://:{NEW}@{server.addr}/0")
            assert await _until_done(lambda: _submit(store, "a")) == (Outcome.OK,)


async def test_a_file_that_cannot_be_read_again_leaves_what_it_held(
    opener: Any, tmp_path: Path, caplog: LogCaptureFixture
) -> None:
    file = tmp_path / "password"
    file.write_text(OLD)
    with RedisServer(password=OLD) as server:
        async with opener(server, password=OLD, password_file=str(file)) as store:
            file.unlink()
            for _ in range(3):
                _drop_connections(server)
                await _until_done(store.now)
            assert caplog.text.count("cannot be read again") == 1
            assert OLD not in caplog.text


async def test_a_permission_that_is_taken_away_is_a_trouble_that_passes_and_is_said_once(
    opener: Any, caplog: LogCaptureFixture
) -> None:
    with RedisServer() as server, caplog.at_level(logging.INFO, "dsched.store.redis"):
        server.command("ACL", "SETUSER", "pod", "on", f">{OLD}", "~*", "+@all")
        async with opener(server, username="pod", password=OLD) as store:
            for taken, given in (
                ("-evalsha", "+evalsha"),
                ("-hmget", "+hmget"),
                ("-@all", "+@all"),
            ):
                await _until_done(lambda: _submit(store, "first"))
                server.command("ACL", "SETUSER", "pod", taken, "-eval")
                for _ in range(3):
                    with pytest.raises(StoreUnavailableError, match="permission") as raised:
                        await _submit(store, f"with{taken}")
                    # What a script did before the command that it may not run stays done.
                    assert raised.value.maybe_applied is (taken == "-hmget")
                server.command("ACL", "SETUSER", "pod", given, "+eval")
                assert await _submit(store, f"with{taken}") == (Outcome.OK,)
            assert caplog.text.count("refuses steps to its user") == 3
            assert caplog.text.count("grants its user what was refused") == 3


async def test_a_user_that_is_deleted_and_made_anew_is_a_trouble_that_passes(opener: Any) -> None:
    with RedisServer() as server:
        rule = ("ACL", "SETUSER", "pod", "on", f">{OLD}", "~*", "+@all")
        server.command(*rule)
        async with opener(server, username="pod", password=OLD) as store:
            await store.now()
            server.command("ACL", "DELUSER", "pod")
            for _ in range(3):
                with pytest.raises(StoreUnavailableError):
                    await store.now()
            server.command(*rule)
            await _until_done(store.now)


async def test_a_password_that_is_set_on_an_open_server_is_a_trouble_that_passes(
    opener: Any,
) -> None:
    with RedisServer() as server:
        async with opener(server) as store:
            await store.now()
            _rotate(server)
            for _ in range(3):
                with pytest.raises(StoreUnavailableError):
                    await store.now()
            server.command("CONFIG", "SET", "requirepass", "")
            server.password = ""
            await _until_done(store.now)


async def test_a_password_that_is_taken_off_the_server_is_a_trouble_that_passes(
    opener: Any,
) -> None:
    with RedisServer(password=OLD) as server:
        async with opener(server, password=OLD) as store:
            await store.now()
            server.command("CONFIG", "SET", "requirepass", "")
            server.password = ""
            _drop_connections(server)
            # Some servers take any password then, others say that they want none.
            with contextlib.suppress(StoreUnavailableError):
                await store.now()
            server.command("CONFIG", "SET", "requirepass", OLD)
            server.password = OLD
            await _until_done(store.now)


async def test_a_loading_server_is_a_trouble_that_passes(opener: Any) -> None:
    with RedisServer("--appendonly", "yes", "--key-load-delay", "300") as server:
        async with opener(server) as store:
            for number in range(20):
                ids = [f"t{number}-{n}" for n in range(100)]
                await store.submit([Submission(task_id=one, spec=SPEC) for one in ids], by="me")
            server.command("BGREWRITEAOF")
            await asyncio.to_thread(server.restart)
            await _until_done(store.now)


async def test_at_the_start_wrong_credentials_are_refused(opener: Any) -> None:
    with RedisServer(password=OLD) as server:
        opening = opener(server, password=NEW)
        with pytest.raises(StoreRefusedError, match=r"redis\.password"):
            await opening.__aenter__()
