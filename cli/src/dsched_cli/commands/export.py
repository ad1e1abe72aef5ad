"""`dsched export`: the configs of a cluster as a task file; applying it changes nothing."""

from typing import Any

import click

from dsched_cli.cleaning import clean
from dsched_cli.finding import call_config, config_path
from dsched_cli.output import say, write, write_json, yaml_text
from dsched_cli.session import Session, asks_api


@click.command()
@asks_api
@click.argument("config_ids", metavar="[ID]...", nargs=-1)
@click.option("--origin", metavar="ORIGIN", help="Only of this origin: api, file:NAME, code:NAME.")
def export(session: Session, config_ids: tuple[str, ...], origin: str | None) -> None:
    """Print configs as a task file; applying it changes nothing."""
    if config_ids:
        records = [
            call_config(session, given, lambda one: session.api.get(config_path(one)))
            for given in config_ids
        ]
    else:
        records = list(session.api.items("/configs"))
    if origin is not None:
        records = [one for one in records if one.get("origin") == origin]
    entries: list[dict[str, Any]] = [
        {"id": one["id"], **one["spec"]} for one in sorted(records, key=lambda one: str(one["id"]))
    ]
    for one in records:
        if one.get("paused"):
            say(f"note: {clean(one['id'])} is paused; a task file does not say so")
    origins = sorted({clean(one.get("origin", "api")) for one in records})
    if origins not in ([], ["api"]):
        say(f"note: declared by {', '.join(origins)}; apply it as --origin {origins[0]}")
    if session.output.format == "json":
        write_json({"tasks": entries})
    else:
        write(yaml_text({"tasks": entries}).rstrip("\n"))
