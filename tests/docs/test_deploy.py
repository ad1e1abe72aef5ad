"""The deploy files name what exists, and what they start starts. There is no docker here."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pages import ROOT
from workspace import MEMBERS

from dsched.config import parse_duration, read_settings
from dsched.loading import load_catalogue
from dsched_testkit.servers import RedisServer

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
PODS = {name: one for name, one in COMPOSE["services"].items() if name.startswith("pod-")}
PASSWORD = "chosen-by-the-test"


def environment(pod: str) -> dict[str, str]:
    """What compose would set, with its one variable filled in."""
    given = PODS[pod]["environment"].items()
    filled = {
        name: re.sub(r"\$\{DSCHED_REDIS__PASSWORD:\?[^}]+\}", PASSWORD, v) for name, v in given
    }
    assert "$" not in "".join(filled.values())
    return filled


def test_there_are_three_pods_with_names_of_their_own_and_a_redis():
    assert len(PODS) == 3
    assert {name: environment(name)["POD_NAME"] for name in PODS} == {name: name for name in PODS}
    assert set(COMPOSE["services"]) == {"redis", *PODS}


@pytest.mark.parametrize("pod", sorted(PODS))
def test_every_variable_is_a_setting(pod):
    loaded = read_settings(None, environment(pod), {}, load_catalogue())
    assert loaded.settings.store == "redis"
    assert loaded.settings.pod.name == pod
    assert loaded.stores["redis"].addr.partition(":")[0] in COMPOSE["services"]
    assert loaded.stores["redis"].password == PASSWORD


def test_pods_have_more_time_to_stop_than_a_drain_takes():
    drain = read_settings(None, {}, {}, load_catalogue()).settings.worker.drain_timeout
    for pod in PODS.values():
        assert parse_duration(pod["stop_grace_period"]) > drain + parse_duration("10s")


def test_every_command_is_in_exec_form():
    for service in COMPOSE["services"].values():
        assert isinstance(service["command"], list)
        assert service.get("healthcheck", {"test": ["CMD"]})["test"][0] == "CMD"
    for act in ("ENTRYPOINT", "CMD"):
        for found in re.findall(rf"^\s*{act} (.*)$", DOCKERFILE, re.MULTILINE):
            assert isinstance(json.loads(found), list), found
    assert re.search(r"^ENTRYPOINT ", DOCKERFILE, re.MULTILINE)


def test_what_is_mounted_built_and_copied_exists():
    for pod in PODS.values():
        (mount,) = pod["volumes"]
        folder = DEPLOY / mount.split(":")[0]
        assert (folder / "tasks.yaml").is_file()
        assert (DEPLOY / pod["build"]["context"] / pod["build"]["dockerfile"]).is_file()
    for source in re.findall(r"^COPY (\S+) |source=(deploy/[^, ]+)", DOCKERFILE, re.MULTILINE):
        assert (ROOT / "".join(source)).exists(), source
    wheels = set(re.findall(r"\./(\S+)", DOCKERFILE))
    assert wheels == set(MEMBERS) - {"plugins/testkit"}


def test_the_image_installs_nothing_that_is_not_pinned_by_hash():
    lines = DOCKERFILE.replace("\\\n", " ")
    steps = re.findall(r"pip install ([^&\n]*)", lines)
    ours = [step for step in steps if step.split()[-1] == "/wheels/*.whl"]
    pinned = [step for step in steps if step not in ours]
    assert (len(ours), len(pinned)) == (1, 2)
    assert all({"--no-index", "--no-deps"} <= set(step.split()) for step in ours)
    for step in pinned:
        assert {"--require-hashes", "--no-deps", "-r"} <= set(step.split()), step
        (listed,) = re.findall(r"requirements[a-z-]*\.txt", step)
        text = (DEPLOY / listed).read_text(encoding="utf-8")
        blocks = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]
        assert all("==" in block and "--hash=sha256:" in block for block in blocks), listed
    (built,) = re.findall(r"pip wheel ([^&\n]*)", lines)
    assert {"--no-index", "--no-deps", "--no-build-isolation"} <= set(built.split())
    assert "pip check" in DOCKERFILE


def test_redis_keeps_what_it_acknowledges_and_evicts_nothing():
    command = COMPOSE["services"]["redis"]["command"]
    told = dict(zip(command[1::2], command[2::2], strict=True))
    assert told["--appendonly"] == "yes"
    assert told["--maxmemory-policy"] == "noeviction"
    for service in COMPOSE["services"].values():
        assert "ports" not in service  # nothing is reachable from outside


@pytest.mark.slow
@pytest.mark.redis
def test_a_pod_as_composed_finds_its_redis_and_tasks():
    command = [word for word in COMPOSE["services"]["redis"]["command"][1:] if "$" not in word]
    command.remove("--requirepass")
    folder = (DEPLOY / PODS["pod-a"]["volumes"][0].split(":")[0]).resolve()
    with RedisServer(*command, password=PASSWORD) as server:
        told = environment("pod-a") | {"DSCHED_REDIS__ADDR": server.addr}
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("dsched-run")),
                *PODS["pod-a"]["command"],
                "--check",
            ],
            env=os.environ | told,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "store: redis: ok" in done.stdout
