"""What a pod with nothing to do has in memory: what it needs, and not what is merely installed."""

import subprocess
import sys

import pytest

from dsched_testkit.servers import RedisServer

SCRIPT = """
import sys
from dsched.launcher.run import main
code = main(["--config", sys.argv[1], "--for", "1s"])
print("code", code)
print("imported", *sys.modules)
"""
# A store's client where another store is asked for, gRPC before a task needs it, and what is for
# users, plugin authors and tests.
NEVER = {
    "_pytest",
    "dsched_cli",
    "dsched_client",
    "dsched_testkit.memory",
    "google.protobuf",
    "grpc",
    "hypothesis",
    "multiprocessing",
    "pytest",
    "unittest",
}
REDIS = {"redis", "hiredis", "dsched_store_redis.store"}
SQLITE = {"sqlite3", "dsched_store_sqlite.store"}


@pytest.fixture(params=["sqlite", "redis"])
def store(request, tmp_path):
    """The name of a store, and its part of a configuration."""
    if request.param == "sqlite":
        yield "sqlite", f"sqlite: {{path: {tmp_path}/dsched.db}}"
    else:
        with RedisServer() as server:
            yield "redis", f"redis: {{addr: '{server.addr}'}}"


def test_an_idle_pod_imports_only_what_it_needs(store, tmp_path):
    name, section = store
    config = tmp_path / "dsched.yaml"
    config.write_text(f"store: {name}\n{section}\nmetrics: {{port: 0}}\napi: {{port: 0}}\n")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(config)], capture_output=True, text=True, timeout=60
    )
    lines = done.stdout.splitlines()
    assert "code 0" in lines, done.stderr
    imported = set(next(line for line in lines if line.startswith("imported ")).split())
    needless = NEVER | (SQLITE if name == "redis" else REDIS)
    assert not imported & needless
    # Of plugins that it was not asked for it has only plugin module and options, which `--check`
    # lists.
    assert "dsched_executor_grpc.plugin" in imported
    assert (f"dsched_store_{name}.store") in imported
