"""Completion of ids in the shell: asked from the server, quickly or not at all."""

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_TIMEOUT_S = 1.0
_MOST = 200


def config_ids(
    ctx: click.Context,
    param: click.Parameter,  # noqa: ARG001 - click's
    incomplete: str,
) -> "list[CompletionItem]":
    """Ids of configs that begin like this."""
    return _ids(ctx, "/configs", incomplete)


def worker_ids(
    ctx: click.Context,
    param: click.Parameter,  # noqa: ARG001 - click's
    incomplete: str,
) -> "list[CompletionItem]":
    """Ids of workers that begin like this."""
    return _ids(ctx, "/workers", incomplete)


def limit_ids(
    ctx: click.Context,
    param: click.Parameter,  # noqa: ARG001 - click's
    incomplete: str,
) -> "list[CompletionItem]":
    """Ids of limits that begin like this."""
    return _ids(ctx, "/limits", incomplete)


def bulk_ids(
    ctx: click.Context,
    param: click.Parameter,  # noqa: ARG001 - click's
    incomplete: str,
) -> "list[CompletionItem]":
    """Ids of acts on many tasks that begin like this."""
    return _ids(ctx, "/bulk", incomplete)


def _ids(ctx: click.Context, path: str, incomplete: str) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem

    from dsched_cli.calling import Api
    from dsched_cli.connection import find_target
    from dsched_cli.errors import CliError

    params = {**ctx.find_root().params, **{k: v for k, v in ctx.params.items() if v is not None}}
    try:
        target = find_target(os.environ, url=params.get("url"), profile=params.get("profile"))
        with Api(
            target.url, token=target.token, ca_file=target.ca_file, timeout_s=_TIMEOUT_S
        ) as api:
            page = api.call("GET", path, query={"limit": _MOST}).data
    except CliError:
        return []  # a completion cannot report an error; the command itself will
    ids = (str(one["id"]) for one in page["items"])
    return [CompletionItem(one) for one in ids if one.startswith(incomplete)]
