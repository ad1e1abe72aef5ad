"""Real `dsched-run` processes for tests: started, paused, killed, and always stopped again."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

DSCHED_RUN = str(Path(sys.executable).with_name("dsched-run"))
STOP_S = 40.0


def clean_environment(**more: str) -> dict[str, str]:
    """The test's own environment without any setting of dsched in it."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("DSCHED_") and key != "POD_NAME"
    }
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


class PodProcess:
    """One pod in a session of its own; what it logs goes to a file, one JSON object a line."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        folder: Path,
        env: Mapping[str, str],
        program: Sequence[str] = (DSCHED_RUN,),
    ) -> None:
        self.name = name
        self.log_file = folder / f"{name}.log"
        self._paused = False
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*program, *argv],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                env=dict(env),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code (negative: the signal), or None while it runs."""
        return self._process.poll()

    @property
    def heeds_sigterm(self) -> bool:
        """Whether it has got so far that SIGTERM ends it in order."""
        rows = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        (caught,) = (row.split()[1] for row in rows if row.startswith("SigCgt:"))
        return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process only."""
        if self.code is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL: no clean-up of any kind."""
        self.send(signal.SIGKILL)
        self._process.wait(timeout=STOP_S)

    def pause(self) -> None:
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.send(signal.SIGCONT)

    def terminate(self) -> None:
        self.send(signal.SIGTERM)

    async def ended(self, timeout_s: float = STOP_S) -> int:
        """Wait until it has ended; its exit code."""
        await until(lambda: self.code is not None, f"pod {self.name} ends", timeout_s, [self])
        return self._process.wait(timeout=1)

    def end(self) -> None:
        """Whatever is left of it, children included, ends now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(timeout=STOP_S)

    def lines(self) -> list[dict[str, str]]:
        """What it has logged; lines that are not JSON come as a message alone."""
        return [_parsed(line) for line in self.log_file.read_text(errors="replace").splitlines()]

    def said(self, text: str) -> list[dict[str, str]]:
        """The lines whose message holds this text."""
        return [line for line in self.lines() if text in line["message"]]

    def tail(self, count: int = 25) -> str:
        rows = self.log_file.read_text(errors="replace").splitlines()[-count:]
        return "\n".join([f"--- {self.name} (pid {self.pid}, exit code {self.code})", *rows])


def _parsed(line: str) -> dict[str, str]:
    try:
        found = json.loads(line)
    except ValueError:
        return {"message": line}
    return found if isinstance(found, dict) and "message" in found else {"message": line}


async def until(
    condition: Callable[[], object],
    what: str,
    timeout_s: float = 20.0,
    pods: Sequence[PodProcess] = (),
) -> None:
    """Wait for a condition, looking every 20 ms; on failure show the ends of the pods' logs."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + timeout_s
    while not condition():
        if loop.time() > end_s:
            tails = "\n".join(pod.tail() for pod in pods)
            raise AssertionError(f"not within {timeout_s:g} s: {what}\n{tails}")
        await asyncio.sleep(0.02)


async def origin_of_api(pod: PodProcess) -> str:
    """Where a pod answers that chose its port by itself, such as `http://127.0.0.1:40123`."""
    await until(lambda: pod.said("API: http"), "the API listens", 40, [pod])
    (line, *_) = pod.said("API: http")
    found = re.search(r"API: (http://\S+)/api/v1", line["message"])
    assert found is not None, line
    return found[1]
