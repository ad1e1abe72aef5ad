"""The compose files are files of compose, and what they set is what dsched, Redis, and the engine
take."""

import os
import re
import shlex
import subprocess
from itertools import chain

import pytest
from deploy_files import (
    COMPOSE,
    DEPLOY,
    SECRETS,
    catalogue,
    compose_schema,
    environment,
    filled,
    problems_of,
    roles_of,
)

import dsched
from dsched.config import parse_duration, read_settings
from dsched_testkit.servers import RedisServer, command, free_port, redis_server, wait_until

SERVICES = {
    f"{file}: {name}": service
    for file, told in COMPOSE.items()
    for name, service in told["services"].items()
}
PODS = {name: one for name, one in SERVICES.items() if one["image"].startswith("dsched:")}
SENTINEL = COMPOSE["compose.sentinel.yaml"]["services"]


@pytest.mark.parametrize("file", COMPOSE)
def test_it_is_a_file_of_compose(file):
    assert problems_of(COMPOSE[file], compose_schema()) == []


def test_what_is_no_file_of_compose_is_noticed():
    told = {"services": {"pod": {"image": "dsched", "read-only": True}}}
    assert any("read-only" in one for one in problems_of(told, compose_schema()))


@pytest.mark.parametrize("pod", PODS.values(), ids=list(PODS))
def test_a_pod_is_of_this_version_and_its_settings_and_arguments_are_taken(pod):
    assert pod["image"] == f"dsched:{dsched.__version__}"
    roles_of(pod["command"])
    told = environment(pod)
    settings = read_settings(None, told, {}, catalogue()).settings
    assert settings.pod.name == told["POD_NAME"]
    grace_s = parse_duration(pod["stop_grace_period"])
    assert grace_s > settings.worker.drain_timeout + parse_duration("10s")


@pytest.mark.parametrize("pod", PODS.values(), ids=list(PODS))
def test_a_pod_may_write_nowhere_and_gain_nothing(pod):
    assert pod["read_only"] is True
    assert pod["cap_drop"] == ["ALL"]
    assert pod["security_opt"] == ["no-new-privileges:true"]
    assert pod["tmpfs"] == ["/tmp"]
    assert not {"privileged", "user", "cap_add"} & set(pod)
    written = [one for one in pod["volumes"] if not one.endswith(":ro")]
    assert written in ([], ["store:/data"])
    assert "aliases" in pod["networks"]["inner"]  # the name by which it is scraped


@pytest.mark.parametrize("service", SERVICES.values(), ids=list(SERVICES))
def test_what_a_service_names_is_there_and_only_this_host_reaches_it(service):
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:"), port
    for mount in service.get("volumes", ()):
        source = mount.split(":")[0]
        assert not source.startswith(".") or (DEPLOY / source).exists(), source
    if "build" not in service:  # a version that is named, and stays
        assert re.fullmatch(r"[\w/-]+:v?\d+(\.\d+)+", service["image"]), service["image"]


@pytest.mark.parametrize("file", COMPOSE)
def test_what_others_wait_for_or_keep_is_declared(file):
    told = COMPOSE[file]
    for service in told["services"].values():
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in told["services"][other]
        kept = {mount.split(":")[0] for mount in service.get("volumes", ())}
        assert {one for one in kept if not one.startswith(".")} <= set(told.get("volumes", {}))
        assert set(service["networks"]) <= set(told["networks"])


def test_passwords_are_chosen_by_whoever_starts_it():
    for path in DEPLOY.glob("compose*.yaml"):
        told = path.read_text(encoding="utf-8")
        for name in re.findall(r"\w+PASSWORD: (.*)", told):
            assert re.fullmatch(r'"\$\{\w+PASSWORD:\?choose a password\}"', name), name


def test_behind_sentinel_two_schedule_and_three_work():
    pods = {name: one for name, one in SENTINEL.items() if one["image"].startswith("dsched:")}
    roles = {name: roles_of(one["command"]) - {"metrics", "api"} for name, one in pods.items()}
    assert sorted(map(sorted, roles.values())) == [["scheduler"]] * 2 + [["worker"]] * 3
    for one in pods.values():
        redis = read_settings(None, environment(one), {}, catalogue()).stores["redis"]
        names = {node.partition(":")[0] for node in redis.sentinel.nodes}
        assert names == {name for name in SENTINEL if name.startswith("sentinel-")}
        assert len(names) == 3


def test_the_scripts_in_commands_are_scripts():
    commands = [one["command"] for one in SERVICES.values() if "command" in one]
    scripts = [words[2] for words in commands if words[0] == "sh"]
    assert len(scripts) == 6
    for script in scripts:
        subprocess.run(["sh", "-n", "-c", filled(script)], check=True)


def test_redis_behind_sentinel_takes_the_options_it_is_given():
    script = filled(SENTINEL["redis-a"]["command"][2])
    told = re.search(r"set -- (.*?)\n", script.replace("\\\n", ""))
    words = shlex.split(told[1].replace("$(hostname)", "here"))
    words = [SECRETS["redis-password"] if "PASSWORD" in one else one for one in words]
    given = dict(zip(words[::2], words[1::2], strict=True))
    assert given["--maxmemory-policy"] == "noeviction"
    assert int(given["--min-replicas-to-write"]) >= 1  # what durability `ha` asks for
    assert int(given["--min-replicas-max-lag"]) <= 2
    del given["--requirepass"]
    with RedisServer(*chain(*given.items()), password=SECRETS["redis-password"]) as server:
        kept = server.command("CONFIG", "GET", "min-replicas-to-write")
        assert "1" in str(kept)


@pytest.mark.redis
def test_a_sentinel_as_composed_knows_its_primary(tmp_path):
    """Its own script, with addresses and paths of this host in place of the network's."""
    with RedisServer(password=SECRETS["redis-password"]) as primary:
        port = free_port()
        script = filled(SENTINEL["sentinel-a"]["command"][2])
        for old, new in {
            "redis-a 6379": f"127.0.0.1 {primary.port}",
            "port 26379": f"port {port}",
            "$(hostname)": "127.0.0.1",
            "exec redis-sentinel /data/sentinel.conf": (
                f"exec {redis_server(7)} /data/sentinel.conf --sentinel"
            ),
            "/data": str(tmp_path),
        }.items():
            assert old in script, old
            script = script.replace(old, new)
        told = {**os.environ, "DSCHED_REDIS__PASSWORD": SECRETS["redis-password"]}
        process = subprocess.Popen(["sh", "-ec", script], env=told, stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: _master(port) == ["127.0.0.1", str(primary.port)], "it knows it", 20)
        finally:
            process.kill()
            process.wait()


def _master(port):
    try:
        return str(command(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")).split()
    except (OSError, RuntimeError):
        return None
