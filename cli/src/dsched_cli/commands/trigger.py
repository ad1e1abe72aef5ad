"""`dsched trigger`: run a config now, beside its schedule."""

import uuid
from typing import Any

import click

from dsched_cli.commands.task import finish
from dsched_cli.completing import config_ids
from dsched_cli.finding import call_config, config_path
from dsched_cli.params import given_params, param_option
from dsched_cli.session import Session, asks_api, reason_option
from dsched_cli.watching import wait_options


@click.command()
@asks_api
@click.argument("config_id", metavar="CONFIG", shell_complete=config_ids)
@click.option("--key", metavar="KEY", help="The same key again starts no second run.")
@param_option
@reason_option(required=False)
@wait_options
def trigger(
    session: Session,
    config_id: str,
    *,
    key: str | None,
    params: tuple[str, ...],
    reason: str,
    waits: bool,
    exit_status: bool,
    timeout: str,
) -> int:
    """Run a config now, beside its schedule; --wait --exit-status answers with its fate."""
    given: dict[str, Any] = {"key": key or uuid.uuid4().hex, "reason": reason}
    if params:
        config = call_config(session, config_id, lambda one: session.api.get(config_path(one)))
        config_id = str(config["id"])
        given["params"] = given_params(config, params)
    body = {name: value for name, value in given.items() if value}
    found = call_config(
        session, config_id, lambda one: session.api.post(config_path(one, "trigger"), body)
    )
    return finish(session, found, waits=waits, exit_status=exit_status, timeout=timeout)
