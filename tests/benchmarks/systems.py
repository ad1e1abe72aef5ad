"""The systems that are measured: how each is set up, started, and what it is asked to do."""

import compileall
import contextlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import rig

from dsched_testkit.servers import RedisServer

PEERS = rig.HERE / ".peers"
PEER_PYTHON = PEERS / "venv" / "bin" / "python"
PEER_NODE = PEERS / "node"
DSCHED_RUN = str(Path(sys.executable).with_name("dsched-run"))
REQUIREMENTS = {
    "arq": ["arq"],
    "saq": ["saq[redis]", "typing_extensions"],
    "huey": ["huey", "redis"],
    "dramatiq": ["dramatiq[redis]"],
    "taskiq": ["taskiq", "taskiq-redis"],
    "rq": ["rq"],
    "celery": ["celery[redis]"],
}
SETUP_TIMEOUT_S = 300


@attrs.frozen(kw_only=True)
class System:
    """One system. ``share``: its part of the tasks of a throughput run, so that it takes
    seconds."""

    name: str
    asked: str
    concurrency: int = 100
    share: float = 0.5
    store: str = "redis"
    log_level: str = "info"

    @property
    def ours(self) -> bool:
        return self.name.startswith("dsched")

    def client_argv(self, *act: str | int) -> list[str]:
        """The client's process for one act."""
        words = [str(word) for word in act]
        if self.name == "bullmq":
            return ["node", str(rig.HERE / "clients" / "bullmq.mjs"), *words]
        python = sys.executable if self.ours else str(PEER_PYTHON)
        client = "dsched" if self.ours else self.name
        return [python, str(rig.HERE / "drive.py"), client, *words]

    def worker_argv(self, folder: Path) -> list[str]:
        """One worker process; for dsched a whole pod."""
        if not self.ours:
            return self.client_argv("worker")
        return [DSCHED_RUN, "--config", str(folder / "dsched.yaml"), "--app", "bench_tasks"]


DSCHED_ASKED = (
    "whole pods (`dsched-run`: leader, worker, metrics page), full protocol: dispatch through the "
    "leader, leases, tokens, fences, events; result kept for 7 days; at most {concurrency} tasks "
    "at once a pod, as many again in its queue; log level {level}, into a file"
)


def dsched(name: str, *, store: str = "redis", log_level: str = "info", **more: float) -> System:
    """dsched as configured by default but for the concurrency."""
    asked = DSCHED_ASKED.format(concurrency=100, level=log_level)
    return System(name=name, asked=asked, store=store, log_level=log_level, **more)


OURS = [
    dsched("dsched"),
    dsched("dsched-quiet", log_level="warning"),
    dsched("dsched-sqlite", store="sqlite"),
]
OTHERS = [
    System(
        name="bullmq",
        share=1.0,
        asked="acknowledged after the run, result kept; 100 jobs at once a worker; it logs nothing",
    ),
    System(name="arq", share=0.25, asked="acknowledged after the run, result kept; 100 jobs at "
                                         "once"),
    System(
        name="saq",
        # With 100 its connection pool runs dry now and then, and a task or two are never run.
        concurrency=50,
        share=0.25,
        asked="acknowledged after the run, result kept; 50 jobs at once",
    ),
    System(
        name="huey", concurrency=8, asked="taken before the run: no acknowledgement; result kept; "
                                          "8 threads"
    ),
    System(
        name="dramatiq",
        concurrency=8,
        asked="acknowledged after the run, result kept; 1 process of 8 threads",
    ),
    System(
        name="taskiq", share=0.25, asked="stream broker, acknowledged after the run, result kept; "
                                         "100 at once"
    ),
    System(
        name="rq", concurrency=1, share=0.04,
        asked="simple worker (no fork), acknowledged after the run, result kept; one at a time",
    ),
    System(
        name="celery", concurrency=2, share=0.1,
        asked="acks_late, result kept; 2 child processes a worker",
    ),
]  # fmt: skip


def set_up(wanted: Sequence[System]) -> tuple[list[System], dict[str, str]]:
    """Install the peers among ``wanted``; those that can run, and why the others cannot."""
    ready, absent = [], {}
    for system in wanted:
        try:
            if system.name == "bullmq":
                _set_up_node()
            elif system.ours:
                _compile_ours()
            else:
                _set_up_python(system.name)
        except (OSError, subprocess.SubprocessError, rig.BenchError) as error:
            absent[system.name] = f"{error}"[:200]
        else:
            ready.append(system)
    return ready, absent


def _compile_ours() -> None:
    """What an installer does with what it installs: else the first start of a checkout would."""
    root = rig.HERE.parents[1]
    for folder in (
        root / "core",
        *root.glob("executors-*"),
        *root.glob("plugins/*"),
        root / "cli",
        root / "clients" / "http",
    ):
        compileall.compile_dir(folder / "src", quiet=2)


def _set_up_python(name: str) -> None:
    if not PEER_PYTHON.exists():
        venv.create(PEERS / "venv", with_pip=True)
    pip = [str(PEER_PYTHON), "-m", "pip", "--disable-pip-version-check", "-q"]
    seen = subprocess.run([*pip, "show", name], capture_output=True, timeout=60)
    if seen.returncode:
        _quietly([*pip, "install", "--only-binary", ":all:", *REQUIREMENTS[name]])


def _set_up_node() -> None:
    if not shutil.which("npm") or not shutil.which("node"):
        raise rig.BenchError("node and npm are not installed")
    if (PEER_NODE / "node_modules" / "bullmq").exists():
        return
    PEER_NODE.mkdir(parents=True, exist_ok=True)
    (PEER_NODE / ".npmrc").write_text("omit-lockfile-registry-resolved=true\n")
    (PEER_NODE / "package.json").write_text('{"private": true}\n')
    _quietly(["npm", "install", "--no-audit", "--no-fund", "bullmq", "ioredis"], cwd=PEER_NODE)


def _quietly(argv: list[str], cwd: Path | None = None) -> None:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=SETUP_TIMEOUT_S)
    if done.returncode:
        # What the installer says may name hosts and paths: it is for the terminal, not for the
        # page.
        print(done.stderr[-1500:], file=sys.stderr)
        raise rig.BenchError("it cannot be installed here")


def versions(systems: Sequence[System]) -> dict[str, str]:
    """The installed version of each peer."""
    found = {}
    for system in systems:
        if system.name == "bullmq":
            code = "console.log(require('./node_modules/bullmq/package.json').version)"
            argv, cwd = ["node", "-e", code], PEER_NODE
        elif system.ours:
            continue
        else:
            code = f"from importlib.metadata import version as v; print(v({system.name!r}))"
            argv, cwd = [str(PEER_PYTHON), "-c", code], PEERS
        done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=60)
        found[system.name] = done.stdout.strip()
    return found


@attrs.define
class Stage:
    """A fresh store, folders, and the environment in which one measurement runs."""

    system: System
    folder: Path
    server: RedisServer | None
    env: dict[str, str]
    stack: contextlib.ExitStack
    workers: list[int] = attrs.field(factory=list)

    @property
    def tally(self) -> str:
        return self.env["BENCH_TALLY"]

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    def start_worker(self) -> int:
        """One more worker process (for dsched a pod); its process id."""
        argv = self.system.worker_argv(self.folder)
        self.workers.append(self.stack.enter_context(rig.process(argv, self.env, self.log)))
        return self.workers[-1]

    def start_pod(self, *flags: str, name: str, before: Sequence[str] = ()) -> int:
        """A pod of dsched with a name and further flags, ``before`` in front of its command."""
        argv = [*before, *self.system.worker_argv(self.folder), *flags]
        env = {**self.env, "POD_NAME": name}
        return self.stack.enter_context(rig.process(argv, env, self.folder / f"{name}.log"))

    def drive(self, *act: str | int) -> dict[str, float]:
        """Let the client do something, and wait until it has."""
        return rig.answer(self.system.client_argv(*act), self.env)


@contextlib.contextmanager
def stage(system: System, folder: Path) -> Iterator[Stage]:
    """Everything fresh: nothing of an earlier measurement is left."""
    folder.mkdir(parents=True)
    (folder / "tally").mkdir()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(RedisServer()) if system.store == "redis" else None
        env = rig.environment(
            BENCH_TALLY=str(folder / "tally"),
            BENCH_REDIS=server.addr if server else "",
            BENCH_CONCURRENCY=str(system.concurrency),
            BENCH_CONFIG=str(folder / "dsched.yaml"),
            BENCH_NODE=str(PEER_NODE),
        )
        if not server:
            del env["BENCH_REDIS"]
        (folder / "dsched.yaml").write_text(_settings(system, folder, server))
        yield Stage(system, folder, server, env, stack)


def _settings(system: System, folder: Path, server: RedisServer | None) -> str:
    store = (
        f"redis: {{addr: '{server.addr}'}}" if server else f"sqlite: {{path: {folder}/dsched.db}}"
    )
    return (
        f"store: {system.store}\n{store}\n"
        f"worker: {{max_concurrent_tasks: {system.concurrency}, labels: {{zone: a}}}}\n"
        f"metrics: {{port: 0}}\nlog: {{level: {system.log_level}}}\n"
    )


def processors() -> int:
    """How many processors this may use."""
    return len(os.sched_getaffinity(0))
