"""Runs what must notice a mutant, on a scratch copy of the tree, each command under a time
limit."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs
from catalogue import ROOT, Mutant, mutated
from places import Sources

CONTRACTS = {
    "memory": ("plugins/testkit/tests/test_suites_store.py", "TestMemoryStore"),
    "sqlite": ("plugins/store-sqlite/tests/test_contract.py", "TestSqliteStore"),
    "redis": ("plugins/store-redis/tests/test_contract.py", "TestRedisStandalone"),
}
# The plugins of everything installed for the tests would take longer to load than most tests take.
PYTEST = (
    *("-m", "pytest", "-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider"),
    *("-p", "pytest_asyncio.plugin", "-p", "pytest_timeout", "--timeout", "30"),
)
LIMIT_S = 60.0
TOGETHER = 20  # killers tried in one go: not so many that they meet the limit
FAILED = 1  # the exit code of pytest, and of our own commands, for "found something"


@attrs.frozen(kw_only=True)
class Killed:
    """What became of a mutant: which killer noticed, if one did; else what went wrong with one."""

    mutant: Mutant
    by: str = ""
    broken: str = ""
    seconds: float = 0.0
    output: str = ""

    @property
    def survived(self) -> bool:
        """Whether nothing noticed."""
        return not self.by


def command_of(killer: str, family: str) -> list[str]:
    """The arguments for Python of one killer: ``contract``, ``test``, ``sweep`` or ``simulate``."""
    kind, _, rest = killer.partition(" ")
    match kind:
        case "contract":
            path, name = CONTRACTS[family]
            return [*PYTEST, f"{path}::{name}", "-k", " ".join(shlex.split(rest))]
        case "test":
            return [*PYTEST, *shlex.split(rest)]
        case "sweep":
            return ["tests/sweep/crash_points.py", "--processes", "0", "-x", *shlex.split(rest)]
        case "simulate":
            return ["tests/simulation/simulate.py", "--processes", "1", "--seeds", rest]
    raise ValueError(f"unknown kind of killer: {killer!r}")


@attrs.frozen(kw_only=True)
class Group:
    """Killers that are tried in one go, and the one killer that does the same as all of them."""

    killer: str
    family: str
    of: tuple[tuple[str, str], ...]


def together(killers: Sequence[tuple[str, str]]) -> list[Group]:
    """Groups of killers (with their families): those that choose tests of the same file by
    words."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    groups = []
    for killer, family in killers:
        kind, *words = shlex.split(killer)
        if kind == "contract":
            found.setdefault((kind, family), []).append((" ".join(words), killer))
        elif kind == "test" and len(words) == 3 and words[1] == "-k":
            found.setdefault((f"test {words[0]} -k", family), []).append((words[2], killer))
        else:
            groups.append(Group(killer=killer, family=family, of=((killer, family),)))
    for (start, family), members in found.items():
        for at in range(0, len(members), TOGETHER):
            part = members[at : at + TOGETHER]
            chosen = shlex.quote(" or ".join(f"({words})" for words, _ in part))
            of = tuple((killer, family) for _, killer in part)
            groups.append(Group(killer=f"{start} {chosen}", family=family, of=of))
    return groups


class Scratch:
    """A copy of the tree in which mutants live, one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            source, target = ROOT / name, folder / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
        self._whole = Sources(folder)  # read while nothing in it is broken, and kept
        sources = sorted(path for path in folder.glob("**/src") if path.is_dir())
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, sources)),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            # Whatever the caller set: half of a killer's time is to compile what it imports.
            "PYTHONDONTWRITEBYTECODE": "",
        }

    @contextmanager
    def infected(self, mutant: Mutant) -> Iterator[None]:
        """The copy with a mutant in it, for the length of the block."""
        after = mutated(mutant, self._whole)
        before = {path: path.read_text() for path in after}
        try:
            _write(after)
            yield
        finally:
            _write(before)

    def attack(self, mutant: Mutant) -> Killed:
        """Let the killers loose, the first that notices ends it."""
        began_s, broken, output = time.monotonic(), "", ""
        with self.infected(mutant):
            for killer in mutant.killers:
                code, output = self.run(killer, mutant.family)
                seconds = time.monotonic() - began_s
                if code == FAILED:
                    return Killed(mutant=mutant, by=killer, seconds=seconds, output=output)
                if code is None:
                    return Killed(mutant=mutant, by=f"{killer} (hung)", seconds=seconds)
                if code != 0:
                    broken = f"{killer}: exit code {code}"
        seconds = time.monotonic() - began_s
        return Killed(mutant=mutant, broken=broken, seconds=seconds, output=output)

    def run(self, killer: str, family: str) -> tuple[int | None, str]:
        """One killer; its exit code, None if it had to be stopped, and its last words."""
        process = subprocess.Popen(
            [sys.executable, *command_of(killer, family)],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            _end(process)
            return None, ""
        return process.returncode, output[-3000:]


def _end(process: subprocess.Popen[str]) -> None:
    """Stop a killer as Ctrl-C does, so that it stops what it started; then for good."""
    for number, wait_s in ((signal.SIGINT, 10.0), (signal.SIGKILL, 10.0)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=wait_s)
            return


def _write(texts: dict[Path, str]) -> None:
    for path, text in texts.items():
        path.write_text(text)
        # Else a cached module of the same size and second would be taken for this one.
        for cached in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            cached.unlink()
