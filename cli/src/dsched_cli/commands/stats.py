"""`dsched stats`: runs, failures, waits and run times by hour or day."""

import click

from dsched_cli import columns
from dsched_cli.completing import config_ids
from dsched_cli.finding import config_path
from dsched_cli.session import Session, asks_api
from dsched_cli.times import parse_instant
from dsched_client.instants import rfc3339


@click.command()
@asks_api
@click.argument("config_id", metavar="[CONFIG]", required=False, shell_complete=config_ids)
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
    session: Session, config_id: str | None, *, first: str, last: str, bucket: str, only_total: bool
) -> None:
    """Show runs, failures, waits and run times of a config or of all."""
    now = session.now
    answer = session.api.get(
        "/stats",
        config=config_id,
        bucket=bucket,
        **{
            "from": rfc3339(parse_instant(first, session.zone, now)),
            "to": rfc3339(parse_instant(last, session.zone, now)),
        },
    )
    if config_id and not answer["items"]:  # nothing done, or a wrong id, which is not found
        session.api.get(config_path(config_id))
    if only_total:
        session.output.record(answer["total"], columns.BUCKET, key="start")
    else:
        session.output.records(answer["items"], columns.BUCKET, key="start")
