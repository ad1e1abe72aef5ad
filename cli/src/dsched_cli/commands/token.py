"""`dsched token`: who may call the API. A token is shown once, when it is made."""

import os
from pathlib import Path
from typing import Any

import click

from dsched_cli import columns
from dsched_cli.calling import path_of
from dsched_cli.cleaning import clean
from dsched_cli.errors import UsageError
from dsched_cli.finding import call_token
from dsched_cli.output import Column, say
from dsched_cli.session import Session, asks_api, confirm, list_options, yes_option


@click.group()
def token() -> None:
    """Who may call the API: list, create, revoke tokens."""


@token.command(name="list")
@asks_api
@list_options
def list_(session: Session, limit: int | None) -> None:
    """List tokens; their secrets are kept by nobody."""
    session.show_list("/tokens", columns.TOKEN, limit=limit)


@token.command()
@asks_api
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(("read", "submit", "operate", "admin")),
    default="read",
    show_default=True,
    help="What it may do; each scope includes those before it.",
)
@click.option("--expires-in", metavar="SPAN", help="Until when it opens, such as 90d.")
@click.option(
    "--save",
    metavar="FILE",
    help="Write the token to a new file only you can read, instead of showing it.",
)
def create(
    session: Session, name: str, *, scope: str, expires_in: str | None, save: str | None
) -> None:
    """Make a token. It is shown once; only its hash is kept."""
    body: dict[str, Any] = {"name": name, "scope": scope}
    if expires_in is not None:
        body["expires_in"] = expires_in
    descriptor = None if save is None else _new_file(Path(save))
    try:
        found = session.api.post("/tokens", body)
    except BaseException:
        if descriptor is not None and save is not None:
            os.close(descriptor)
            Path(save).unlink()
        raise
    if descriptor is None:
        session.output.record(found, (*columns.TOKEN, Column("TOKEN", "token")))
        say("this is the only time the token is shown")
        return
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(str(found.pop("token")) + "\n")
    say(f"the token is in {save}")
    session.output.record(found, columns.TOKEN)


@token.command()
@asks_api
@click.argument("token_id", metavar="ID")
@yes_option
def revoke(session: Session, token_id: str, yes: bool) -> None:
    """Make a token open nothing any more."""
    confirm(f"Revoke token {clean(token_id)}?", yes=yes)
    call_token(session, token_id, lambda one: session.api.call("DELETE", path_of("tokens", one)))
    say(f"{clean(token_id)} is revoked")


def _new_file(path: Path) -> int:
    """The file is opened before the token is made, so that no token is made that cannot be
    saved."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written",
            why=error.strerror or str(error),
            todo="name a file that does not exist yet",
        ) from error
