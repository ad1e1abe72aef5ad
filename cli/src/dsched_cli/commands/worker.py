"""`dsched worker`: who runs tasks."""

import click

from dsched_cli import columns
from dsched_cli.calling import path_of
from dsched_cli.completing import worker_ids
from dsched_cli.finding import call_worker
from dsched_cli.session import Session, asks_api, list_options, reason_option
from dsched_cli.watching import watch, watch_option

ID = click.argument("worker_id", metavar="ID", shell_complete=worker_ids)


@click.group()
def worker() -> None:
    """Who runs tasks: list, look at, drain, resize."""


@worker.command(name="list")
@asks_api
@list_options
@watch_option
def list_(session: Session, limit: int | None, watches: bool) -> None:
    """List workers with their load."""

    def show() -> bool:
        session.show_list("/workers", columns.WORKER, limit=limit)
        return watches

    watch(show) if watches else show()


@worker.command()
@asks_api
@ID
def get(session: Session, worker_id: str) -> None:
    """Show one worker."""
    found = call_worker(session, worker_id, lambda one: session.api.get(path_of("workers", one)))
    session.output.record(found, columns.WORKER)


@worker.command()
@asks_api
@ID
@click.option("--give-back", is_flag=True, help="Stop what runs; other workers begin it again.")
@reason_option(required=True)
def drain(session: Session, worker_id: str, *, give_back: bool, reason: str) -> None:
    """Let a worker finish what it has and take nothing new.

    With --give-back it stops what runs by its next heartbeat. Others begin that again, and no retry
    is spent. A task with on_crash: fail must not be begun twice and runs on.
    """
    body = {"reason": reason} | ({"give_back": True} if give_back else {})
    found = call_worker(
        session, worker_id, lambda one: session.api.post(path_of("workers", one, "drain"), body)
    )
    session.output.record(found, columns.WORKER)


@worker.command()
@asks_api
@ID
@reason_option(required=False)
def resume(session: Session, worker_id: str, reason: str) -> None:
    """Undo a drain that somebody asked for."""
    body = {"reason": reason} if reason else {}
    found = call_worker(
        session, worker_id, lambda one: session.api.post(path_of("workers", one, "resume"), body)
    )
    session.output.record(found, columns.WORKER)


@worker.command()
@asks_api
@ID
@click.argument("capacity", type=int, required=False)
@click.option("--clear", is_flag=True, help="As many as it is configured to, again.")
@reason_option(required=False)
def resize(
    session: Session, worker_id: str, *, capacity: int | None, clear: bool, reason: str
) -> None:
    """Change how many tasks a worker runs at once, by its next heartbeat.

    CAPACITY is 1 to 10000. It holds for the worker's id, restarts included. What runs goes on.
    """
    if (capacity is None) != clear:
        raise click.UsageError("Give a CAPACITY, or --clear to take back what was given.")
    body = {"capacity": capacity} | ({"reason": reason} if reason else {})
    found = call_worker(
        session, worker_id, lambda one: session.api.post(path_of("workers", one, "resize"), body)
    )
    session.output.record(found, columns.WORKER)
