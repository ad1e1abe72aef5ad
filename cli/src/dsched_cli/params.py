"""``-p NAME=VALUE``: params of a config, typed as the config declares them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dsched_cli.cleaning import clean
from dsched_cli.errors import UsageError

if TYPE_CHECKING:
    from dsched.model import JsonValue

C = TypeVar("C", bound=Callable[..., Any])


def param_option(command: C) -> C:
    """The option ``-p``, as the argument ``params``."""
    return click.option(
        "-p",
        "--param",
        "params",
        multiple=True,
        metavar="NAME=VALUE",
        help="A param that the config declares; may be given several times.",
    )(command)


def given_params(config: Mapping[str, Any], texts: Sequence[str]) -> dict[str, "JsonValue"]:
    """The params that were typed, of the types that a config declares, as the API answers it."""
    # Imported here, so that every other command starts without the model.
    from dsched.model import InvalidConfigError
    from dsched.model.params import declared, values_of_texts

    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(
                f"-p {clean(text)} names no value", todo="write it as -p NAME=VALUE, day=2026-11-30"
            )
        if name in found:
            raise UsageError(f"-p {clean(name)} is given twice", todo="keep one of them")
        found[name] = value
    try:
        return values_of_texts(declared(config["spec"].get("params") or {}), found)
    except InvalidConfigError as error:
        raise UsageError(
            f"-p {clean(error.field.removeprefix('params.'))}: {clean(error.reason)}",
            todo="`dsched config get ID` shows the params that it declares",
        ) from error
