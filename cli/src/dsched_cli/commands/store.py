"""`dsched store`: its format, and the step to the newest."""

from collections.abc import Mapping
from typing import Any

import click

from dsched_cli import columns
from dsched_cli.commands.store_moving import backup, copy, restore
from dsched_cli.errors import CliError, ExitCode
from dsched_cli.output import Column, say
from dsched_cli.session import Session, asks_api, confirm, reason_option, yes_option

FORMAT = (
    Column("FORMAT", "format"),
    Column("NEWEST", "newest"),
    Column("OLDER PODS", lambda record: columns.names_of(record.get("older_pods") or [])),
)


@click.group()
def store() -> None:
    """The store: its format, the step to the newest, backup, restore and copy."""


for command in (backup, restore, copy):
    store.add_command(command)


@store.command()
@asks_api
def get(session: Session) -> None:
    """Show the format of the store, and which pods do not know the newest."""
    session.output.record(session.api.get("/store"), FORMAT, key="format")


@store.command()
@asks_api
@click.option("--dry-run", is_flag=True, help="Only say what would be done, and who is in the way.")
@reason_option(required=False)
@yes_option
def migrate(session: Session, dry_run: bool, reason: str, yes: bool) -> None:
    """Give the store the newest format, in one step.

    Refused while a pod runs that does not know it. Nothing that is stored changes; versions that do
    not know the format cannot use the store afterwards.
    """
    found = session.api.get("/store")
    if found["format"] == found["newest"]:
        say(f"the store has format {found['format']}, the newest: nothing to do")
        return
    in_the_way = columns.names_of(found["older_pods"])
    if dry_run:
        say(_would(found, in_the_way))
        return
    if in_the_way:
        raise CliError(
            "the store cannot be migrated",
            why=f"pods run that do not know format {found['newest']}: {in_the_way}",
            todo="update them, or stop them and wait 30 s, and migrate again",
            code=ExitCode.CONFLICT,
        )
    confirm(f"Migrate the store from format {found['format']} to {found['newest']}?", yes=yes)
    done = session.api.post("/store/migrate", {"reason": reason} if reason else {})
    say(f"migrated from format {found['format']} to {done['format']}")


def _would(found: Mapping[str, Any], in_the_way: str) -> str:
    if in_the_way:
        return f"would be refused: pods run that do not know format {found['newest']}: {in_the_way}"
    return (
        f"would be migrated from format {found['format']} to {found['newest']}; versions that know "
        f"no more than {found['format']} could not use it afterwards"
    )
