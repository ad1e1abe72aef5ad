"""Acts on many tasks: counted first, agreed to, made, and followed to their end."""

import functools
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs
import click

from dsched_cli import columns
from dsched_cli.calling import path_of
from dsched_cli.cleaning import clean
from dsched_cli.errors import CliError, ExitCode, UsageError
from dsched_cli.output import say
from dsched_cli.selecting import configs_of, instant_of, meant_options, parse_labels
from dsched_cli.session import Session, confirm, yes_option

R = TypeVar("R")

OVER = ("done", "stopped", "failed")
_LOOK_EVERY_S = 0.5
_BEGINS_WITHIN_S = 15.0
_MAX_FAILURES = 10


@attrs.frozen(kw_only=True)
class Many:
    """Which tasks are meant instead of one, and how it is to be done; None and nothing: not
    given."""

    of: str | None = None
    labels: tuple[str, ...] = ()
    owner: str | None = None
    status: str | None = None
    since: str | None = None
    until: str | None = None
    rate: str | None = None
    yes: bool = False
    dry_run: bool = False
    no_wait: bool = False

    def check_alone(self) -> None:
        """Refuse them beside an ID."""
        given = [
            option
            for option, value in (
                ("--of", self.of),
                ("--label", self.labels),
                ("--owner", self.owner),
                ("--status", self.status),
                ("--since", self.since),
                ("--until", self.until),
                ("--rate", self.rate),
                ("--dry-run", self.dry_run),
                ("--no-wait", self.no_wait),
            )
            if value
        ]
        if given:
            raise UsageError(
                f"an ID and {given[0]} cannot be combined",
                why="the ID is one task, the option is about many",
                todo="keep one of them",
            )

    def check_without(self, given: Mapping[str, bool]) -> None:
        """Refuse what is about one task."""
        for option, value in given.items():
            if value:
                raise UsageError(
                    f"{option} is about one task",
                    why="no ID is given",
                    todo="give the ID, or leave it out",
                )

    def run(self, session: Session, act: str, reason: str) -> int:
        """Count them; then, unless that was all, agree, make the operation, and follow it."""
        if self.of is None and not self.labels and self.owner is None:
            raise UsageError(
                f"nothing says what to {act}",
                why="neither a task nor configs are named",
                todo=f"give the ID of a task, or --of 'etl-*', --label or --owner; "
                f"`dsched task {act} --of '*' --dry-run` counts those of every config",
            )
        if not (reason.strip() or self.dry_run):
            raise UsageError(
                "--reason is missing", why="many tasks are meant", todo="say why, in a few words"
            )
        body = self._body(session, act, reason)
        plan = session.api.post("/bulk", {**body, "dry_run": True})
        counted = _counted(plan)
        say(f"{counted} to {act}{_shares(plan)}")
        if self.dry_run or not plan["found"]:
            session.output.record(plan, columns.BULK_PLAN, key="found")
            return ExitCode.OK
        confirm(f"{act.capitalize()} {counted}?", yes=self.yes)
        made = session.api.post("/bulk", body)["operation"]
        if self.no_wait:
            say(f"it goes on by itself: `dsched bulk get {clean(made['id'])}` shows how far it is")
            session.output.record(made, columns.BULK)
            return ExitCode.OK
        return follow(session, made)

    def _body(self, session: Session, act: str, reason: str) -> dict[str, Any]:
        configs_of(self.of, self.labels, self.owner)
        body = {
            "act": act,
            "config": self.of,
            "labels": parse_labels(self.labels) or None,
            "owner": self.owner,
            "status": self.status,
            "since": instant_of(session, self.since),
            "until": instant_of(session, self.until),
            "rate": self.rate,
            "reason": reason or None,
        }
        return {name: value for name, value in body.items() if value is not None}


def many_options(
    of_help: str, *, statuses: tuple[str, ...], window: bool = False
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Add the options that mean many tasks; the command gets them as ``many``."""

    def add(function: Callable[..., R]) -> Callable[..., R]:
        names = [one.name for one in attrs.fields(Many) if one.name != "of"]

        @functools.wraps(function)
        def run(*args: Any, of_config: str | None, **given: Any) -> R:
            taken = {name: given.pop(name) for name in names if name in given}
            return function(*args, many=Many(of=of_config, **taken), **given)

        usual = "failed" if window else "any of these"
        options: list[Callable[[Callable[..., R]], Callable[..., R]]] = [
            click.option("--no-wait", is_flag=True, help="With --of: do not follow it to its end."),
            click.option(
                "--dry-run", is_flag=True, help="With --of: only count them, and name the first."
            ),
            yes_option,
            click.option(
                "--rate",
                metavar="N/SPAN",
                help="With --of: how many in how long, at most 100/s.  [default: 20/s]",
            ),
            *(_WINDOW if window else ()),
            click.option(
                "--status",
                type=click.Choice(statuses),
                help=f"With --of: those of this status.  [default: {usual}]",
            ),
        ]
        found: Callable[..., R] = run
        for option in options:
            found = option(found)
        return meant_options(of_help)(found)

    return add


_WINDOW: tuple[Callable[[Callable[..., Any]], Callable[..., Any]], ...] = (
    click.option("--until", metavar="TIME", help="With --of: those that ended before then."),
    click.option(
        "--since", metavar="TIME", help="With --of: those that ended since then: 2h, a date."
    ),
)


def follow(session: Session, made: Mapping[str, Any]) -> int:
    """Show how far an operation is until it has ended. Ctrl-C leaves it alone."""
    operation_id = str(made["id"])
    line = _Line()
    began_s, failures, told = time.monotonic(), 0, False
    found: Mapping[str, Any] = made
    try:
        while found["state"] not in OVER:
            line.show(found)
            time.sleep(_LOOK_EVERY_S)
            try:
                found = session.api.get(path_of("bulk", operation_id))
            except CliError as error:
                # A pod that restarts ends neither the operation nor this look at it.
                failures += 1
                if error.code != ExitCode.UNREACHABLE or failures >= _MAX_FAILURES:
                    raise
                continue
            failures = 0
            late = time.monotonic() - began_s > _BEGINS_WITHIN_S
            if late and not told and not found.get("begun"):
                told = True
                line.clear()
                say("it has not begun: a pod that leads does it; `dsched cluster pods` shows them")
    except KeyboardInterrupt:
        line.clear()
        say(f"bulk operation {clean(operation_id)} goes on without this command")
        say(f"`dsched bulk get {clean(operation_id)}` shows how far it is")
        say(f"`dsched bulk stop {clean(operation_id)} --reason TEXT` stops it")
        raise
    line.clear()
    return show_ended(session, found)


def show_ended(session: Session, found: Mapping[str, Any]) -> int:
    """Write an operation, and below it what was left alone."""
    show(session, found)
    well = found["state"] == "done" and not found["failed"] and not found["note"]
    return ExitCode.OK if well else ExitCode.PARTLY


def show(session: Session, found: Mapping[str, Any]) -> None:
    """Write an operation; for people, the first tasks that it left alone, too."""
    session.output.record(found, columns.BULK)
    for why, count in (found.get("skips") or {}).items():
        say(f"{count} skipped: {clean(why)}")
    if found.get("note"):
        say(clean(found["note"]))
    if found.get("examples") and session.output.format in ("table", "wide"):
        click.echo()
        session.output.records(found["examples"], columns.BULK_EXAMPLE, key="task")


def _counted(plan: Mapping[str, Any]) -> str:
    found = plan["found"]
    more = "" if plan["found_all"] else "at least "
    return f"{more}{found:,} {'task' if found == 1 else 'tasks'}"


def _shares(plan: Mapping[str, Any]) -> str:
    """Of which configs, the most first."""
    most = list((plan.get("by_config") or {}).items())
    shown = ", ".join(f"{clean(name)} {count:,}" for name, count in most[:5])
    return f": {shown}{', ...' if len(most) > 5 else ''}" if shown else ""


class _Line:
    """One line of a terminal that says how far it is, and nothing anywhere else."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def show(self, found: Mapping[str, Any]) -> None:
        """How far it is by now."""
        if self._shown:
            text = (
                f"{clean(found['state'])}: {found['done']:,} done, {found['skipped']:,} skipped, "
                f"{found['failed']:,} failed, {found['left']:,} left, at most "
                f"{clean(found['rate'])}"
            )
            click.echo(f"\r\x1b[K{text}", nl=False, err=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)
