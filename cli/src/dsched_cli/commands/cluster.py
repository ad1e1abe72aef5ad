"""`dsched cluster`: leader, counts, terms, pods, step-down, restored."""

import click

from dsched_cli import columns
from dsched_cli.output import Column, say
from dsched_cli.session import Session, asks_api, confirm, list_options, reason_option, yes_option
from dsched_cli.times import parse_instant
from dsched_client.instants import rfc3339

STATE = (
    Column("LEADER", "leader.pod"),
    Column("EPOCH", "leader.epoch"),
    Column("CONFIGS", "configs", kind="number"),
    Column("WORKERS", "workers", kind="number"),
    Column("BY STATUS", "counts.by_status"),
    Column("BY HOME", "counts.by_home"),
    Column("OLDEST READY", "counts.oldest_ready", kind="time"),
    Column("STORE TIME", "store_time", kind="time"),
    Column("CLOCK GEN", "clock_gen"),
    Column("VERSION", "version"),
)


@click.group()
def cluster() -> None:
    """The whole: leader, counts, terms, pods, step-down, restored."""


@cluster.command()
@asks_api
def get(session: Session) -> None:
    """Show leader, counts and clock."""
    session.output.record(session.api.get("/cluster"), STATE, key="version")


@cluster.command()
@asks_api
@list_options
def terms(session: Session, limit: int | None) -> None:
    """List who led when, the latest first."""
    session.show_list("/cluster/terms", columns.TERM, limit=limit)


@cluster.command()
@asks_api
@list_options
def pods(session: Session, limit: int | None) -> None:
    """List pods and what they run."""
    session.show_list("/cluster/pods", columns.POD, limit=limit)


@cluster.command(name="step-down")
@asks_api
@reason_option(required=True)
@yes_option
def step_down(session: Session, reason: str, yes: bool) -> None:
    """Ask the leader to give the leadership up; another pod takes over."""
    state = session.api.get("/cluster")
    leader = (state.get("leader") or {}).get("pod", "nobody")
    confirm(f"Ask {leader} to step down?", yes=yes)
    session.api.post("/cluster/step-down", {"reason": reason})
    say(f"{leader} is asked to step down")


@cluster.command()
@asks_api
@reason_option(required=True)
@click.option(
    "--since",
    metavar="TIME",
    help="When the backup was made.  [default: the newest entry of its log]",
)
@yes_option
def restored(session: Session, reason: str, since: str | None, yes: bool) -> None:
    """Say that a backup was put in the store's place, before the first pod starts on it.

    What happened since the backup is forgotten and may happen again: the log, the alerts and `why`
    tell so.
    """
    confirm("Record a break in the store's history?", yes=yes)
    body = {"reason": reason}
    if since is not None:
        body["since"] = rfc3339(parse_instant(since, session.zone, session.now))
    found = session.api.post("/cluster/restored", body)
    span = f"since {found['since']}" if found.get("since") else "before now"
    say(f"recorded, generation {found['generation']}: what happened {span} may be lost")
