"""How the plugin presents itself, and that listing it costs no heavy import."""

import subprocess
import sys
from typing import Any

from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.settings import StoreSettings
from dsched_store_redis.options import Durability, RedisOptions
from dsched_store_redis.plugin import dsched_stores
from dsched_testkit.servers import RedisServer


async def test_the_provider_opens_a_working_store(shared_server: RedisServer) -> None:
    (provider,) = dsched_stores()
    assert (provider.name, provider.options) == ("redis", RedisOptions)
    options = RedisOptions(addr=shared_server.addr, key_prefix="plugin:", durability=Durability.DEV)
    async with provider.open(options, StoreSettings()) as store:
        assert (await store.acquire("pod", "one", 5000)).outcome is Outcome.OK


async def test_two_handles_speak_to_one_store(shared_server: RedisServer, opener: Any) -> None:
    async with (
        opener(shared_server, key_prefix="two:") as one,
        opener(shared_server, key_prefix="two:") as other,
    ):
        fence = (await one.acquire("pod", "one", 5000)).fence
        assert await other.leader() == fence


def test_registering_the_plugin_imports_no_client() -> None:
    code = (
        "import sys; import dsched_store_redis.plugin as p; p.dsched_stores();"
        "sys.exit('redis' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
