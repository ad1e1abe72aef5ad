"""Waiting for a task's end and watching a result change, both bounded and interruptible."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import click

from dsched_cli.cleaning import clean
from dsched_cli.errors import CliError, ExitCode
from dsched_cli.finding import task_path
from dsched_cli.output import last_line, say
from dsched_cli.selecting import TERMINAL
from dsched_cli.session import Session
from dsched_cli.times import parse_span

_STEP_S = 30.0
_MAX_FAILURES = 10
WATCH_INTERVAL_S = 2.0


def wait_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--wait``, ``--exit-status`` and ``--timeout``."""
    for option in reversed(
        (
            click.option("--wait", "waits", is_flag=True, help="Wait for the end of the run."),
            click.option(
                "--exit-status",
                is_flag=True,
                help="Exit with 1 unless the run succeeds; waits for its end.",
            ),
            click.option(
                "--timeout",
                metavar="SPAN",
                default="10m",
                show_default=True,
                help="How long --wait waits; then exit with 124.",
            ),
        )
    ):
        function = option(function)
    return function


def wait_for_end(session: Session, task_id: str, timeout: str) -> Mapping[str, Any]:
    """The task once it has ended; `CliError` with 124 when the time is over."""
    deadline_s = time.monotonic() + parse_span(timeout, "--timeout").total_seconds()
    failures = 0
    while True:
        left_s = deadline_s - time.monotonic()
        step_s = min(_STEP_S, max(left_s, 0.0))
        try:
            answer = session.api.call(
                "GET",
                task_path(task_id, "wait"),
                query={"timeout": f"{round(step_s * 1000)}ms"},
                extra_s=step_s,
            )
        except CliError as error:
            # A pod that restarts must not end a wait of hours; one that stays away does.
            failures += 1
            if error.code != ExitCode.UNREACHABLE or failures >= _MAX_FAILURES or left_s <= 0:
                raise
            time.sleep(min(1.0, max(left_s, 0.0)))
            continue
        failures = 0
        task: Mapping[str, Any] = answer.data
        if task.get("status") in TERMINAL:
            return task
        if time.monotonic() >= deadline_s:
            raise CliError(
                f"{clean(task_id)} is still {clean(task.get('status'))}",
                why=f"the wait of {timeout} is over; the task goes on",
                todo=f"`dsched task wait {clean(task_id)} --timeout 1h` waits on",
                code=ExitCode.TIMED_OUT,
            )


def exit_code_of(task: Mapping[str, Any], *, exit_status: bool) -> int:
    """0, or with ``--exit-status`` 1 for a run that did not succeed, which is said."""
    if not exit_status or task.get("status") == "success":
        return ExitCode.OK
    words = [last_line(task.get(key)) for key in ("reason", "error") if task.get(key)]
    say(f"{clean(task.get('id'))} ended {clean(task.get('status'))}: {'; '.join(words) or '-'}")
    return ExitCode.FAILED


def watch(show: Callable[[], bool], *, interval_s: float = WATCH_INTERVAL_S) -> None:
    """Show again and again until interrupted or ``show`` answers False, cleared on a terminal."""
    terminal = sys.stdout.isatty()
    while True:
        if terminal:
            click.clear()
        more = show()
        sys.stdout.flush()
        if not more:
            return
        time.sleep(interval_s)


watch_option = click.option(
    "--watch", "-w", "watches", is_flag=True, help="Show it again every two seconds (Ctrl-C ends)."
)
