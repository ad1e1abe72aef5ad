"""A pod that waits for its store at the start answers probes: it lives, and it is not ready."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from pods import PodProcess, clean_environment, until

from dsched_testkit.servers import RedisServer, free_port

pytestmark = [pytest.mark.slow, pytest.mark.redis, pytest.mark.timeout(120)]


async def asked(http: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    try:
        async with http.get(url) as answer:
            return answer.status, await answer.text()
    except aiohttp.ClientError:
        return 0, ""


async def becomes(http: aiohttp.ClientSession, url: str, status: int) -> str:
    async with asyncio.timeout(40):
        while True:
            found, text = await asked(http, url)
            if found == status:
                return text
            await asyncio.sleep(0.05)


async def test_a_waiting_pod_lives_is_not_ready_and_serves_all_when_its_store_has_come(
    tmp_path: Path,
) -> None:
    api, page, store = free_port(), free_port(), free_port()
    env = clean_environment(
        DSCHED_STORE="redis",
        DSCHED_REDIS__ADDR=f"127.0.0.1:{store}",
        DSCHED_API__PORT=str(api),
        DSCHED_METRICS__PORT=str(page),
    )
    pod = PodProcess("pod-a", ("--log-format", "json"), tmp_path, env)
    try:
        async with aiohttp.ClientSession() as http:
            for port in (api, page):
                assert await becomes(http, f"http://127.0.0.1:{port}/livez", 200) == "alive\n"
                await until(lambda: pod.said("the store does not answer"), "it waits", 30, [pod])
                text = await becomes(http, f"http://127.0.0.1:{port}/readyz", 503)
                assert text == "the store does not answer\n"
            status, text = await asked(http, f"http://127.0.0.1:{api}/api/v1/cluster")
            assert (status, "store_unavailable" in text) == (503, True)
            with RedisServer(port=store):
                for port in (api, page):
                    assert await becomes(http, f"http://127.0.0.1:{port}/readyz", 200) == "ready\n"
                assert (await asked(http, f"http://127.0.0.1:{page}/metrics"))[0] == 200
            assert not pod.said("cannot listen")
    finally:
        pod.end()
