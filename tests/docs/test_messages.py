"""The example of messages is run: a pod, a Redis, a NATS server, and what listens to them."""

import asyncio
import sys
from pathlib import Path

import nats
import pytest
from docs_processes import started
from mq_brokers import NatsServer
from pages import ROOT

from dsched_testkit.servers import RedisServer

pytestmark = pytest.mark.slow

EXAMPLE = ROOT / "docs/examples/messages"


async def test_a_pod_publishes_to_both_brokers_and_gets_an_answer(tmp_path):
    with RedisServer() as redis, NatsServer() as server:
        settings = (EXAMPLE / "dsched.yaml").read_text(encoding="utf-8")
        told = settings.replace("127.0.0.1:6379", redis.addr).replace("127.0.0.1:4222", server.addr)
        config = tmp_path / "dsched.yaml"
        config.write_text(
            f"{told}store: sqlite\nsqlite: {{path: {tmp_path}/dsched.db}}\n"
            "metrics: {port: 0}\napi: {port: 0}\n"
        )
        client = await nats.connect(f"nats://{server.addr}")

        async def answer(message):
            await message.respond(b'{"EUR": 1.08}')

        await client.subscribe("prices.today", cb=answer)
        await client.flush()
        command = [str(Path(sys.executable).parent / "dsched-run"), "--config", str(config)]
        command += ["--tasks", str(EXAMPLE / "tasks.yaml")]
        with started(command, tmp_path / "log") as run:
            await asyncio.to_thread(run.says, r"ended: published.* \(task=nightly-report@")
            await asyncio.to_thread(run.says, r"ended: replied.* \(task=prices@")
        await client.close()
        kept = _stream(redis)

    assert "nightly-report@" in kept
    assert '{"day":"yesterday"}' in kept.replace(" ", "")


def _stream(redis: RedisServer) -> str:
    """The stream of database 1, by a script: each command here has a connection of its own."""
    script = "redis.call('SELECT', 1) return redis.call('XRANGE', 'jobs:reports', '-', '+')"
    return str(redis.command("EVAL", script, "0"))
