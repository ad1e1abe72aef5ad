"""`dsched stats`: runs, failures, waits and run times by hour or day."""

from typing import Any

import click

from dsched_cli import columns
from dsched_cli.completing import config_ids, worker_ids
from dsched_cli.errors import UsageError
from dsched_cli.finding import config_path
from dsched_cli.session import Session, asks_api
from dsched_cli.times import parse_instant
from dsched_client.instants import rfc3339


@click.command()
@asks_api
@click.argument("config_id", metavar="[CONFIG]", required=False, shell_complete=config_ids)
@click.option(
    "--worker",
    "worker_id",
    metavar="WORKER",
    shell_complete=worker_ids,
    help="What this worker did.",
)
@click.option("--workers", "each_worker", is_flag=True, help="One sum for each worker.")
@click.option("--from", "first", metavar="TIME", default="-24h", show_default=True, help="Since.")
@click.option("--to", "last", metavar="TIME", default="now", show_default=True, help="Until.")
@click.option(
    "--bucket",
    type=click.Choice(("hour", "day")),
    default="hour",
    show_default=True,
    help="How long a line is.",
)
@click.option("--total", "only_total", is_flag=True, help="Only the sum of the span.")
def stats(
    session: Session,
    config_id: str | None,
    *,
    worker_id: str | None,
    each_worker: bool,
    first: str,
    last: str,
    bucket: str,
    only_total: bool,
) -> None:
    """Show runs, failures, waits and run times of a config, of a worker or of all."""
    if sum(map(bool, (config_id, worker_id, each_worker))) > 1:
        raise UsageError(
            "a config and workers are counted apart", todo="name one of CONFIG, --worker, --workers"
        )
    now = session.now
    span = {
        "from": rfc3339(parse_instant(first, session.zone, now)),
        "to": rfc3339(parse_instant(last, session.zone, now)),
    }
    if each_worker:
        session.output.records(_totals(session, span), columns.BUCKET_OF_WORKER, key="worker_id")
        return
    answer = session.api.get("/stats", config=config_id, worker=worker_id, bucket=bucket, **span)
    if config_id and not answer["items"]:  # nothing done, or a wrong id, which is not found
        session.api.get(config_path(config_id))
    shown = columns.BUCKET_OF_WORKER if worker_id else columns.BUCKET
    if only_total:
        session.output.record(answer["total"], shown, key="start")
    else:
        session.output.records(answer["items"], shown, key="start")


def _totals(session: Session, span: dict[str, str]) -> list[dict[str, Any]]:
    """The sum of each worker that is registered."""
    return [
        session.api.get("/stats", worker=one["id"], bucket="day", **span)["total"]
        for one in session.api.items("/workers")
    ]
