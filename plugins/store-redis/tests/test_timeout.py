"""A call must not take longer than a leader trusts its lock."""

from datetime import timedelta
from typing import Any

import pytest

from dsched.contracts.store.outcomes import StoreRefusedError
from dsched.contracts.store.settings import StoreSettings
from dsched_store_redis.options import Durability, RedisOptions
from dsched_store_redis.store import open_store
from dsched_testkit.servers import RedisServer


def _opening(server: RedisServer, timeout_ms: int, trust_ms: int | None) -> Any:
    options = RedisOptions(
        addr=server.addr,
        durability=Durability.DEV,
        timeout=timedelta(milliseconds=timeout_ms),
        key_prefix="timeout:",
    )
    return open_store(options, StoreSettings(leader_trust_ms=trust_ms))


async def test_a_timeout_that_outlasts_the_trust_in_a_short_lock_is_refused(
    shared_server: RedisServer,
) -> None:
    for timeout_ms in (2550, 5000):
        with pytest.raises(
            StoreRefusedError, match=r"redis\.timeout is .* s.*2\.55 s.*schedule\.leader_lock_ttl"
        ):
            async with _opening(shared_server, timeout_ms, 2550):
                pass


async def test_a_timeout_below_it_is_taken(shared_server: RedisServer) -> None:
    async with _opening(shared_server, 2540, 2550) as store:
        assert await store.leader() is None
    async with _opening(shared_server, 5000, None) as store:
        assert await store.leader() is None
