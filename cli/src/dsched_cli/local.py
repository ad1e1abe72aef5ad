"""`--local`: a pod with nothing but the API, on a free port of loopback, for one command."""

import json
import os
import queue
import re
import secrets
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from dsched_cli.calling import Api
from dsched_cli.cleaning import clean
from dsched_cli.errors import CliError, ExitCode
from dsched_cli.output import say

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 5.0
_KEPT_LINES = 10
BAD_CONFIG = 2  # the exit code of `dsched-run`
_LISTENS = re.compile(r"API: (http://[0-9.]+:[0-9]+)/api/v1")


@contextmanager
def local_api(config_file: str | None, *, may_create: bool) -> Iterator[Api]:
    """The API of a pod of our own on the configured store; it ends with this block.

    A store that is not there is only made for a command that puts something into it.

    It has a token that only this process and its child know. It ends by itself when this process
    does, whatever kills it: its standard input closes.
    """
    absent = _absent(config_file)
    if absent is not None and not may_create:
        raise CliError(
            "there is no store here",
            why=absent,
            todo="go to the folder of the pod, or name its configuration: --local --config FILE",
            code=ExitCode.NOT_FOUND,
        )
    if absent is not None:
        say(f"note: {clean(absent)}; an empty store is made")
    token = secrets.token_urlsafe(32)
    command = [sys.executable, "-m", "dsched_cli.local_pod", "--role", "api", "--no-wait"]
    command += ["--log-format", "json", "--log-level", "info"]
    if config_file is not None:
        command += ["--config", config_file]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=_environment(token),
        start_new_session=True,
    ) as process:
        try:
            with Api(_address(process), token=token) as api:
                yield api
        finally:
            _stop(process)


def _absent(config_file: str | None) -> str | None:
    """That the configured store is not there, if it can be told without making it."""
    from dsched.config import ConfigError, read_plugin_settings, read_settings
    from dsched.loading import PluginError, load_catalogue

    try:
        allowed = read_plugin_settings(config_file, os.environ, {})
        catalogue = load_catalogue(enabled=allowed.enabled, disabled=allowed.disabled)
        loaded = read_settings(config_file, os.environ, {}, catalogue)
    except (ConfigError, PluginError):
        return None  # the pod that is started will say what is wrong
    name = loaded.settings.store
    said = catalogue.stores[name].provider.absent(loaded.stores[name])
    return None if said is None else said.partition(";")[0]


def _environment(token: str) -> dict[str, str]:
    """Ours, with what the pod must be told; other users cannot read a process's environment."""
    return {
        **os.environ,
        "DSCHED_API__BIND": "127.0.0.1",
        "DSCHED_API__PORT": "0",
        "DSCHED_API__AUTH": "token",
        "DSCHED_API__ADMIN_TOKEN": token,
    }


def _address(process: "subprocess.Popen[bytes]") -> str:
    """Where it listens, as its log says."""
    found: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    last: deque[str] = deque(maxlen=_KEPT_LINES)
    if process.stderr is None:
        raise RuntimeError("the pod was started without a pipe for its log")
    reader = threading.Thread(
        target=_read, args=(process.stderr, found, last), name="local pod's log", daemon=True
    )
    reader.start()
    try:
        address = found.get(timeout=_START_TIMEOUT_S)
    except queue.Empty:
        address = None
    if address is None:
        raise CliError(
            "no pod could be started for --local",
            why="\n  ".join(last) or f"it said nothing for {_START_TIMEOUT_S:g} s",
            todo="`dsched-run --check` with the same configuration says more",
            code=_code_of(process),
        )
    return address


def _code_of(process: "subprocess.Popen[bytes]") -> ExitCode:
    """A configuration that a pod refuses is bad usage; a store that is away is unreachable."""
    try:
        refused = process.wait(_STOP_TIMEOUT_S) == BAD_CONFIG
    except subprocess.TimeoutExpired:
        refused = False  # it hangs
    return ExitCode.USAGE if refused else ExitCode.UNREACHABLE


def _read(stream: IO[bytes], found: "queue.SimpleQueue[str | None]", last: "deque[str]") -> None:
    """Read to the end, so that the pod never waits for a reader."""
    for raw in stream:
        line = _text(raw.decode("utf-8", "replace").strip())
        last.append(clean(line))
        match = _LISTENS.search(line)
        if match is not None:
            found.put(match[1])
    found.put(None)


def _text(line: str) -> str:
    """The words of a line of JSON log, or the line."""
    try:
        record = json.loads(line)
    except ValueError:
        return line
    return str(record.get("event") or record.get("message") or line)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
