"""`dsched export`: a cluster's configs and limits as a task file; applying it changes nothing."""

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
    """Print configs as a task file, with their limits; applying it changes nothing."""
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
    limits = _limits(session, records, origin, everything=not config_ids)
    file = {**({"limits": limits} if limits else {}), "tasks": entries}
    if session.output.format == "json":
        write_json(file)
    else:
        write(yaml_text(file).rstrip("\n"))


def _limits(
    session: Session, configs: list[Any], origin: str | None, *, everything: bool
) -> dict[str, Any]:
    """The limits of the origin, or of the configs that are asked for, as a file has them."""
    from dsched.config.limits import KEYS
    from dsched.model import limit_of
    from dsched_cli.declared_limits import stored_limits

    named = {str(name) for one in configs for name in one["spec"].get("limits") or ()}
    named |= {limit_of(name) for name in named}
    return {
        name: {key: one[key] for key in KEYS if one.get(key) is not None}
        for name, one in stored_limits(session).items()
        if (everything or name in named) and (origin is None or one.get("origin") == origin)
    }
