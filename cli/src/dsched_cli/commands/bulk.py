"""`dsched bulk`: acts on many tasks that go on or ended lately. Listing, looking, stopping."""

import click

from dsched_cli import columns
from dsched_cli.bulk import OVER, follow, show
from dsched_cli.calling import path_of
from dsched_cli.cleaning import clean
from dsched_cli.completing import bulk_ids
from dsched_cli.errors import ExitCode
from dsched_cli.output import say
from dsched_cli.session import Session, asks_api, list_options, reason_option
from dsched_cli.watching import watch, watch_option

ID = click.argument("operation_id", metavar="ID", shell_complete=bulk_ids)


@click.group()
def bulk() -> None:
    """Acts on many tasks, as `task retry --of` makes them: list, look at, stop."""


@bulk.command(name="list")
@asks_api
@list_options
@watch_option
def list_(session: Session, *, limit: int | None, watches: bool) -> None:
    """List those that go on, and those that ended in the last week, the latest first."""

    def once() -> bool:
        session.show_list("/bulk", columns.BULK, limit=limit)
        return watches

    watch(once) if watches else once()


@bulk.command()
@asks_api
@ID
@click.option("--wait", "waits", is_flag=True, help="Follow it to its end.")
def get(session: Session, operation_id: str, *, waits: bool) -> int:
    """Show how far one is, and what it left alone."""
    found = session.api.get(path_of("bulk", operation_id))
    if waits and found["state"] not in OVER:
        return follow(session, found)
    show(session, found)
    return ExitCode.OK


@bulk.command()
@asks_api
@ID
@reason_option(required=True)
def stop(session: Session, operation_id: str, *, reason: str) -> None:
    """Let one deal with no more tasks. What it has done stays done."""
    found = session.api.post(path_of("bulk", operation_id, "stop"), {"reason": reason})
    say(f"bulk operation {clean(found['id'])} stops after what is in hand")
    session.output.record(found, columns.BULK)
