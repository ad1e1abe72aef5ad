"""Walks a page as its reader would: writes its files, runs its commands in order, keeps its
pods."""

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs
import pytest
from docs_processes import Running, started
from pages import ROOT, Block

BIN = Path(sys.executable).parent
LINE_TIMEOUT_S = 40
_COMMENT = re.compile(r"\s+# (.*)$")
_CODE = re.compile(r"exits with (\d+)")
# The addresses that pages name; here others are free.
_API, _METRICS, _HOOK = "127.0.0.1:8700", "127.0.0.1:9464", "127.0.0.1:8765"


@attrs.frozen
class Said:
    """One command of a page that has ended."""

    line: str
    code: int
    out: str
    err: str


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _programs(stack: contextlib.ExitStack) -> Path:
    """A folder with programs that the pages use and some machines lack; it goes last on the
    path."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dsched-programs-")))
    curl = folder / "curl"
    words = shlex.join((sys.executable, str(Path(__file__).with_name("curl.py"))))
    curl.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    curl.chmod(0o755)
    return folder


class Walk:
    """A reader in an empty folder, with the programs of dsched on the path."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self.folder = folder
        self.pods: dict[str, Running] = {}
        self.servers: dict[str, Running] = {}
        self.said: list[Said] = []
        self._ports = {address: free_port() for address in (_API, _METRICS, _HOOK)}
        kept = {name: value for name, value in os.environ.items() if "DSCHED" not in name}
        self._env = {
            **kept,
            "PATH": os.pathsep.join((str(BIN), kept.get("PATH", ""), str(_programs(stack)))),
            "XDG_CONFIG_HOME": str(folder / "none"),
            "NO_COLOR": "1",
            "TZ": "Europe/Berlin",
            # What a page leaves to the defaults, on ports that are free here.
            "DSCHED_URL": f"http://127.0.0.1:{self._ports[_API]}",
        }

    def take(self, block: Block) -> list[Said]:
        """Write a block's file, or run its lines; what was said by those that ended."""
        if block.file:
            name = Path(block.file).name
            text = (ROOT / "docs" / block.file).read_text()
            (self.folder / name).write_text(self._here(text))
        if block.language != "sh":
            return []
        begun = len(self.said)
        for line in block.text.splitlines():
            if line.strip():
                self._run(line)
        return self.said[begun:]

    def last(self, start: str) -> Said:
        """The latest command that begins so."""
        return next(one for one in reversed(self.said) if one.line.startswith(start))

    def ask(self, command: str) -> str:
        """What a command that is not the page's says on stdout, whatever its exit code."""
        return self._call(command).stdout

    def stop(self, name: str) -> str:
        """Send a pod SIGTERM; what it said until its end, which must be a clean one."""
        pod = self.pods.pop(name)
        pod.process.send_signal(signal.SIGTERM)
        assert pod.ends() == 0, pod.said()
        return pod.said()

    def _run(self, line: str) -> None:
        comment = _COMMENT.search(line)
        command = self._here(_COMMENT.sub("", line))
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            self._env[name] = value
        elif re.search(r"\bdsched-run\b", command) and "--check" not in command:
            self._start(command)
        elif command.startswith("python receiver.py"):
            self.serve("receiver", command)
        else:
            self._end(line, command, comment[1] if comment else "")

    def _here(self, text: str) -> str:
        """The text with the page's addresses made those of this walk."""
        for address, port in self._ports.items():
            text = text.replace(address, f"127.0.0.1:{port}")
        return text

    def serve(self, name: str, command: str) -> None:
        """Another program that goes on running, until the walk's end."""
        log = self.folder / f"{name}.log"
        shell = ["bash", "-c", f"exec {command}"]
        running = started(shell, log, cwd=self.folder, inherit=False, **self._env)
        self.servers[name] = self._stack.enter_context(running)

    def _start(self, command: str) -> None:
        """A pod, which the page has in a terminal of its own."""
        told = re.match(r"POD_NAME=(\w+) ", command)
        name = told[1] if told else f"pod-{len(self.pods)}"
        env = {**self._env}
        env.setdefault("DSCHED_METRICS__PORT", str(self._ports[_METRICS]) if not self.pods else "0")
        env.setdefault("DSCHED_API__PORT", str(self._ports[_API]) if not self.pods else "0")
        log = self.folder / f"{name}.log"
        shell = ["bash", "-c", f"exec env {command}"]
        running = started(shell, log, cwd=self.folder, inherit=False, **env)
        self.pods[name] = self._stack.enter_context(running)
        served = "--role" not in command or "api" in command
        self.pods[name].says(r"API: http://" if served else r"is ready for")

    def _end(self, line: str, command: str, comment: str) -> None:
        done = self._call(command)
        said = Said(line, done.returncode, done.stdout, done.stderr)
        self.said.append(said)
        told = _CODE.search(comment)
        expected = int(told[1]) if told else 0
        if done.returncode != expected:
            logs = "\n".join(f"{name}: {pod.said()}" for name, pod in self.pods.items())
            pytest.fail(f"{line!r} exits with {expected}? {said}\n{logs}")

    def _call(self, command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LINE_TIMEOUT_S,
            check=False,
        )
