"""What ends the start of a pod on Redis: exit code 4, and a sentence that says what to do."""

import pytest

from dsched.launcher.run import main
from dsched_testkit.servers import RedisServer

pytestmark = [pytest.mark.redis, pytest.mark.timeout(60)]


@pytest.fixture(scope="module")
def server():
    with RedisServer() as running:
        yield running


@pytest.mark.parametrize("more", [(), ("--check",)])
def test_a_timeout_that_outlasts_the_trust_in_a_short_lock(server, tmp_path, capsys, more):
    config = tmp_path / "short.yaml"
    config.write_text(
        f"store: redis\nredis: {{addr: '{server.addr}'}}\n"
        "schedule: {leader_lock_ttl: 3s, leader_renew_interval: 1s}\n"
    )
    assert main(["--config", str(config), *more]) == 4
    shown = capsys.readouterr().err
    assert "redis.timeout is 5 s" in shown
    assert "no more than 2.55 s" in shown
    assert "schedule.leader_lock_ttl higher" in shown


@pytest.mark.parametrize("more", [(), ("--check",)])
def test_an_authority_whose_file_is_missing(server, tmp_path, capsys, more):
    config = tmp_path / "tls.yaml"
    config.write_text(
        f"store: redis\nredis: {{url: 'rediss://{server.addr}/0', tls: {{ca_file: /no/such}}}}\n"
    )
    config.chmod(0o600)
    assert main(["--config", str(config), *more]) == 4
    assert "redis.tls.ca_file: /no/such cannot be read" in capsys.readouterr().err


def test_the_profile_for_trying_things_out_behind_sentinels(tmp_path, capsys):
    config = tmp_path / "sentinel.yaml"
    config.write_text(
        "store: redis\nredis: {durability: dev, sentinel: {master: m, nodes: ['h:1']}}\n"
    )
    assert main(["--config", str(config), "--check"]) == 2
    assert "redis.durability: dev is for one server" in capsys.readouterr().err
