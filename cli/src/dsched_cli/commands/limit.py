"""`dsched limit`: how many tasks workers have at once or begin in a span, and what waits for
that."""

from collections.abc import Mapping
from typing import Any

import click

from dsched_cli.calling import path_of
from dsched_cli.cleaning import clean
from dsched_cli.completing import limit_ids
from dsched_cli.errors import ApiError
from dsched_cli.finding import call_limit
from dsched_cli.output import Column, say
from dsched_cli.session import Session, asks_api, list_options, reason_option

ID = click.argument("limit_id", metavar="ID", shell_complete=limit_ids)
LIMIT = (
    Column("ID", "id"),
    Column("MAX RUNNING", "max_running", kind="number"),
    Column("RATE", "rate"),
    Column("BURST", "burst", kind="number"),
    Column("ORIGIN", "origin", wide=True),
)
LISTED = (
    *LIMIT,
    Column("HELD", "use.held", kind="number"),
    Column("WAITING", "use.waiting", kind="number"),
)
USE = (
    Column("NAME", "name"),
    Column("HELD", "held", kind="number"),
    Column("OF", "max_running", kind="number"),
    Column("WAITING", "waiting", kind="number"),
)
RATED = (
    *USE,
    Column("TOKENS", "tokens", kind="number"),
    Column("NEXT TOKEN IN", "next_token_in_ms", kind="ms"),
)


@click.group()
def limit() -> None:
    """How many tasks run at once or begin in a span of time: set, list, look at, delete."""


@limit.command(name="set")
@asks_api
@ID
@click.option(
    "--max-running",
    type=click.IntRange(0, 1_000_000),
    metavar="N",
    help="How many tasks workers have at once; 0 lets nothing new begin.",
)
@click.option(
    "--rate",
    metavar="N/SPAN",
    help="How many tasks begin in a span of time, as in 100/1m.",
)
@click.option(
    "--burst",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help="How many tasks of the rate begin at once, after a pause; else what comes in 100 ms.",
)
@click.option("--adopt", is_flag=True, help="Take it over from the file that declares it.")
@reason_option(required=False)
def set_(
    session: Session,
    limit_id: str,
    *,
    max_running: int | None,
    rate: str | None,
    burst: int | None,
    adopt: bool,
    reason: str,
) -> None:
    """Make a limit, or change it; it holds at once, and as a whole: what is not given bounds
    nothing any more.

    ID is that of a limit, such as crm-api, or of one instance with numbers of its own, such as
    tenant:acme. What runs goes on.
    """
    if max_running is None and rate is None:
        raise click.UsageError("give --max-running, --rate, or both: a limit needs one of them")
    given = {"max_running": max_running, "rate": rate, "burst": burst, "reason": reason or None}
    body = {key: value for key, value in given.items() if value is not None}
    query = {"adopt": True if adopt else None}
    found = session.api.call("PUT", path_of("limits", limit_id), query=query, body=body).data
    if not found["changed"]:
        say(f"{clean(found['id'])} was so already")
    session.output.record(found, LIMIT)


@limit.command(name="list")
@asks_api
@list_options
def list_(session: Session, limit: int | None) -> None:
    """List limits with how full they are, over all of their instances."""
    session.show_list("/limits", LISTED, limit=limit, uses=1)


@limit.command()
@asks_api
@ID
def get(session: Session, limit_id: str) -> None:
    """Show a limit, and who holds its places and waits for them, by instance; with a rate also the
    tokens there are."""
    found = call_limit(session, limit_id, lambda one: _whole(session, one))
    session.output.record(found, LIMIT)
    if session.output.format in ("table", "wide") and found["uses"]:
        click.echo()
        rated = any(use["tokens"] is not None for use in found["uses"])
        session.output.records(found["uses"], RATED if rated else USE, key="name")


def _whole(session: Session, limit_id: str) -> Mapping[str, Any]:
    """A limit with all of its uses."""
    path = path_of("limits", limit_id)
    found = session.api.get(path, limit=500)
    uses, cursor = list(found["uses"]), found["cursor"]
    while cursor:
        page = session.api.get(path, limit=500, cursor=cursor)
        uses += page["uses"]
        cursor = page["cursor"]
    del found["cursor"]
    return {**found, "uses": uses}


@limit.command()
@asks_api
@ID
@click.option(
    "--force", is_flag=True, help="Although tasks run or wait under it: they are bounded no more."
)
@reason_option(required=False)
def delete(session: Session, limit_id: str, force: bool, reason: str) -> None:
    """Remove a limit; refused while tasks run or wait under it."""
    query = {"force": True if force else None, "reason": reason or None}
    try:
        session.api.call("DELETE", path_of("limits", limit_id), query=query)
    except ApiError as error:
        if error.kind == "conflict":
            error.todo = (
                f"`dsched limit get {clean(limit_id)}` shows what is in use; wait until nothing "
                "is, or repeat it with --force, and nothing is bounded any more"
            )
        raise
    say(f"{clean(limit_id)} is deleted")
