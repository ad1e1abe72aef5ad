"""What the tests of the command share: the real command as a process, and real pods with an API."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

TOKEN = "admin-token-of-the-tests-0123456789"
START_TIMEOUT_S = 40.0
STOP_TIMEOUT_S = 20.0
CALL_TIMEOUT_S = 50.0
APP = """
import dsched

@dsched.task("hello")
def hello(ctx, name: str = "you"):
    ctx.logger.info("hello %s", name)
    return {"hello": name}

@dsched.task("boom")
def boom():
    raise ValueError("evil \\x1b[31mred\\x1b]0;title\\x07")

@dsched.task("hang")
async def hang():
    import asyncio
    await asyncio.sleep(3600)
"""


@attrs.frozen(kw_only=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Stdout as JSON."""
        return json.loads(self.out)


def clean_environment(**more: str) -> dict[str, str]:
    """Ours, without what would tell the command where to go."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DSCHED_")}
    return {**kept, "XDG_CONFIG_HOME": "/nonexistent", "TZ": "UTC", **more}


def run_dsched(
    *args: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    given: str = "",
) -> Done:
    """Run the real command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "dsched_cli.main", *args],
        env=clean_environment(**(env or {})),
        cwd=cwd,
        input=given,
        capture_output=True,
        text=True,
        timeout=CALL_TIMEOUT_S,
        check=False,
    )
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


@pytest.fixture(scope="session")
def dsched() -> Callable[..., Done]:
    """The command, without a server."""
    return run_dsched


@attrs.frozen(kw_only=True)
class Served:
    """A pod with its API, and the command pointed at it."""

    url: str
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        """What points the command at it."""
        return {"DSCHED_URL": self.url, "DSCHED_TOKEN": TOKEN}

    def run(self, *args: str, given: str = "", env: Mapping[str, str] | None = None) -> Done:
        """Run the command against this pod, in its folder."""
        return run_dsched(*args, env={**self.env, **(env or {})}, cwd=self.folder, given=given)

    def ok(self, *args: str, given: str = "") -> Done:
        """Run the command; it must succeed."""
        done = self.run(*args, given=given)
        assert done.code == 0, (args, done)
        return done

    def put(self, config_id: str, **entry: Any) -> None:
        """Put a config through a file of its own."""
        whole: dict[str, Any] = {"id": config_id, "every": "1h"}
        if "steps" not in entry:
            whole |= {"executor": "local", "payload": {"function": "hello"}}
        whole |= entry
        path = self.folder / f"put-{config_id}.yaml"
        path.write_text(json.dumps({"tasks": [whole]}))
        self.ok("config", "put", config_id, "-f", str(path))

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The API itself, for what the command does not do."""
        request = urllib.request.Request(
            f"{self.url}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {TOKEN}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    def needs(self, route: str) -> None:
        """Skip the test while the server has no such route."""
        if not any(path.endswith(route) for path in self.call("GET", "/openapi.json")["paths"]):
            pytest.skip(f"this server has no route {route} yet")


@contextmanager
def serve(folder: Path, *roles: str) -> Iterator[Served]:
    """Run a pod with an API on a free port until the block ends."""
    (folder / "jobs_of_the_tests.py").write_text(APP)
    command = [sys.executable, "-m", "dsched.launcher.run", "--app", "jobs_of_the_tests"]
    command += ["--role", ",".join(roles or ("scheduler", "worker", "api")), "--for", "10m"]
    env = clean_environment(DSCHED_API__PORT="0", DSCHED_API__ADMIN_TOKEN=TOKEN)
    log_path = folder / "pod.log"
    with log_path.open("wb") as log:
        pod = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    try:
        yield Served(url=_address(pod, log_path), folder=folder)
    finally:
        pod.send_signal(signal.SIGTERM)
        try:
            pod.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pod.kill()
            pod.wait()


def _address(pod: "subprocess.Popen[bytes]", log: Path) -> str:
    found = until(
        lambda: (
            re.search(r"API: (http://[0-9.]+:[0-9]+)/", log.read_text())
            or (pod.poll() is not None and pytest.fail(log.read_text()))
        ),
        START_TIMEOUT_S,
    )
    return str(found[1])


def until(condition: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """The first true answer of a condition, asked again and again."""
    deadline_s = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline_s, "the condition never held"
        time.sleep(0.05)
    return found


@pytest.fixture(name="until")
def until_of_tests() -> Callable[..., Any]:
    """Waits for a condition: see `until`."""
    return until


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A pod that the tests of a module share; each uses ids of its own."""
    with serve(tmp_path_factory.mktemp("pod")) as served:
        yield served


@pytest.fixture
def own_pod(tmp_path: Path) -> Iterator[Served]:
    """A pod with an empty store: API and scheduler, no worker."""
    with serve(tmp_path, "scheduler", "api") as served:
        yield served


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """Wait for a condition."""
    return until
