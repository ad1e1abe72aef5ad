"""`dsched audit`: who did what, and why."""

import click

from dsched_cli import columns
from dsched_cli.session import Session, asks_api, list_options


@click.group()
def audit() -> None:
    """Who did what: list the audit entries."""


@audit.command(name="list")
@asks_api
@list_options
def list_(session: Session, limit: int | None) -> None:
    """List audit entries, the latest first."""
    session.show_list("/audit", columns.AUDIT, limit=limit)
