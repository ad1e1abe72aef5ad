"""`dsched import`: crontabs, Celery beat schedules and APScheduler jobs as task files."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dsched_cli.cleaning import clean
from dsched_cli.errors import ExitCode, UsageError
from dsched_cli.output import say, write, yaml_text

if TYPE_CHECKING:
    from dsched_cli.importers.result import Imported

_MAX_BYTES = 1024 * 1024


@click.group(name="import")
def import_() -> None:
    """Turn crontabs, Celery beat and APScheduler jobs into a task file.

    The file goes to stdout. What it cannot express goes to stderr, a line each, and the exit code
    is then 8.
    """


@import_.command()
@click.argument("file")
@click.option("--tz", metavar="ZONE", help="Zone of the crontab.  [default: this machine's]")
@click.option("--system", is_flag=True, help="It has a user column, as /etc/crontab has.")
def crontab(file: str, tz: str | None, system: bool) -> int:
    """Import a crontab (`-` is stdin, as in `crontab -l | dsched import crontab -`)."""
    from dsched_cli.importers.crontab import read_crontab
    from dsched_cli.importers.modules import zone_name
    from dsched_cli.times import zone_of

    zone = zone_name(zone_of(tz or ""))
    if zone is None:
        raise UsageError("this machine's zone has no name", todo="name it: --tz Europe/Berlin")
    return _print(read_crontab(_read(file), timezone=zone, with_user=system), file)


@import_.command()
@click.argument("app", metavar="MODULE[:APP]")
def celery(app: str) -> int:
    """Import the beat schedule of a Celery app. Imports the module."""
    from dsched_cli.importers.celery import read_celery
    from dsched_cli.importers.modules import load

    return _print(read_celery(load(app, ("app", "celery", "celery_app"))), app)


@import_.command()
@click.argument("scheduler", metavar="MODULE[:SCHEDULER]")
def apscheduler(scheduler: str) -> int:
    """Import the jobs of an APScheduler 3 scheduler. Imports the module."""
    from dsched_cli.importers.apscheduler import read_apscheduler
    from dsched_cli.importers.modules import load

    return _print(read_apscheduler(load(scheduler, ("scheduler", "sched"))), scheduler)


def _read(file: str) -> str:
    import sys

    try:
        if file == "-":
            content = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(f"{clean(file)} cannot be read", why=why) from error
    if len(content) > _MAX_BYTES:
        raise UsageError(f"{clean(file)} has more than {_MAX_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{clean(file)} is not UTF-8 text", why=str(error)) from error


def _print(found: "Imported", source: str) -> int:
    from dsched_cli.importers.judging import keep_what_is_allowed

    keep_what_is_allowed(found)
    write(f"# Imported from {clean(source)} by `dsched import`.")
    write(yaml_text({"tasks": found.entries}).rstrip("\n"))
    for note in found.notes:
        say(f"note: {clean(note)}")
    for one in found.unsaid:
        say(clean(str(one)))
    disabled = sum(one.get("enabled") is False for one in found.entries)
    say(
        f"{len(found.entries)} tasks"
        + (f", {disabled} of them disabled" if disabled else "")
        + (f"; {found.left_out} left out" if found.left_out else "")
        + f"; {len(found.unsaid)} things could not be expressed"
    )
    return ExitCode.PARTLY if found.unsaid else ExitCode.OK
