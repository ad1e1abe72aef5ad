"""A password of the store is rotated under real pods: none of them ends, and all go on."""

import asyncio
import contextlib

import pytest
from cluster import cluster_on

from dsched_testkit.servers import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.redis, pytest.mark.timeout(120)]

OLD, NEW = "one-password", "another-password"


async def test_pods_outlive_a_rotated_password_and_go_on_with_the_new_one(tmp_path):
    file = tmp_path / "redis-password"
    file.write_text(f"{OLD}\n")
    with RedisServer(password=OLD) as server:
        settings = {
            "store": "redis",
            "redis": {"addr": server.addr, "timeout": "1s", "password_file": file.name},
            "metrics": {"port": 0},
        }
        async with cluster_on(settings, tmp_path) as cluster:
            await cluster.start_three()
            await cluster.submit(["before"])
            await cluster.all_succeed(["before"])
            server.command("CONFIG", "SET", "requirepass", NEW)
            server.password = NEW
            with contextlib.suppress(ConnectionError):
                server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            pods = list(cluster.pods.values())
            for pod in pods:
                await cluster.until(
                    lambda pod=pod: pod.said("refuses the credentials"), "it says so", 20
                )
            # Longer than any window in which a pod trusts what it knows.
            await asyncio.sleep(6)
            assert [pod.code for pod in pods] == [None] * 3
            file.write_text(f"{NEW}\n")
            for pod in pods:
                await cluster.until(
                    lambda pod=pod: pod.said("accepts the credentials again"), "it is over", 20
                )
            await cluster.submit(["after"])
            await cluster.all_succeed(["after"])
            for pod in pods:
                assert pod.log_file.read_text().count("refuses the credentials") == 1
                assert "never retrieved" not in pod.log_file.read_text()
                assert OLD not in pod.log_file.read_text()
                assert NEW not in pod.log_file.read_text()
            codes = await cluster.stop_all()
            assert set(codes.values()) == {0}
