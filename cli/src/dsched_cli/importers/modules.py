"""Objects of the user's own modules, imported because the user named them."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dsched.model import NotJsonError
from dsched.model.json import check_json, loads
from dsched_cli.cleaning import clean
from dsched_cli.errors import CliError, ExitCode, UsageError
from dsched_cli.importers.result import Imported


def load(name: str, attributes: Sequence[str]) -> Any:
    """``MODULE:ATTRIBUTE``, or the first of ``attributes`` that the module has."""
    module_name, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise CliError(
            f"{clean(module_name)} cannot be imported",
            why=clean(f"{type(error).__name__}: {error}"),
            todo="run the command from the folder where the program runs, in its environment",
            code=ExitCode.FAILED,
        ) from error
    for one in [attribute] if attribute else attributes:
        found: Any = module
        for part in one.split("."):
            found = getattr(found, part, None)
        if found is not None:
            return found
    wanted = attribute or " or ".join(attributes)
    raise UsageError(
        f"{clean(module_name)} has no {clean(wanted)}", todo="name it: MODULE:ATTRIBUTE"
    )


def call_of(
    found: Imported,
    where: str,
    *,
    name: str,
    function: Callable[..., Any] | None,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> dict[str, Any]:
    """The keys of an entry that calls a function of the local executor.

    Where its arguments cannot be said, it is disabled: called without them it would do another
    thing.
    """
    try:
        given = _arguments(function, args, kwargs)
    except _UnsayableError as error:
        found.cannot(where, f"{error}; imported disabled and without them: give its args yourself")
        return {"executor": "local", "payload": {"function": name}, "enabled": False}
    payload = {"function": name} | ({} if given is None else {"args": given})
    return {"executor": "local", "payload": payload}


class _UnsayableError(Exception):
    """Arguments that a payload cannot have."""


def _arguments(
    function: Callable[..., Any] | None, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Arguments as the local executor takes them: a list, a mapping, or None for none."""
    given: Any = None
    if args and kwargs:
        given = _by_name(function, args, kwargs)
        if given is None:
            raise _UnsayableError(
                "has arguments by position and by name, and its function does not say which names "
                "the former have"
            )
    elif args or kwargs:
        given = dict(kwargs) if kwargs else list(args)
    try:
        return loads(check_json(given, "args"))  # tuples and the like become what JSON has for them
    except NotJsonError as error:
        raise _UnsayableError(f"its arguments are no JSON: {error}") from error


def _by_name(
    function: Callable[..., Any] | None, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any] | None:
    if function is None:
        return None
    try:
        signature = inspect.signature(function)
        bound = signature.bind(*args, **kwargs)
    except (TypeError, ValueError):
        return None
    named = dict(bound.arguments)
    for name in list(named):
        kind = signature.parameters[name].kind
        if kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL):
            return None
        if kind is inspect.Parameter.VAR_KEYWORD:
            named |= named.pop(name)
    return named


def span_text(seconds: float) -> str:
    """A length of time as a task file has it, to the millisecond."""
    from datetime import timedelta

    from dsched.config import format_duration

    return format_duration(timedelta(milliseconds=round(seconds * 1000)))


def zone_name(zone: object) -> str | None:
    """The IANA name of a zone object of zoneinfo or pytz; None if it has none."""
    for attribute in ("key", "zone"):
        name = getattr(zone, attribute, None)
        if isinstance(name, str) and name:
            return name
    text = str(zone)
    return "UTC" if text in ("UTC", "utc", "UTC+00:00") else None
