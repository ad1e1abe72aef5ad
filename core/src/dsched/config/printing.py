"""`print_config`: every setting in force and where it came from, secrets blacked out."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import attrs
import yaml

from dsched.config.durations import format_duration
from dsched.config.problems import Place
from dsched.config.reading import LoadedSettings
from dsched.config.secrets import REDACTED, is_secret, is_secret_name, without_passwords
from dsched.config.settings import Settings
from dsched.config.sources import Origin

WIDTH = 48


def print_config(loaded: LoadedSettings) -> str:
    """The settings as YAML that could be read back, each value with its origin as a comment.

    Of the stores and balancers that are not chosen, only what was set somewhere is shown.
    """
    lines = list(_lines(_tree(loaded), (), loaded.origins))
    return "\n".join(lines) + "\n"


def _tree(loaded: LoadedSettings) -> dict[str, Any]:
    """Everything to show, as nested mappings of plain values."""
    settings = loaded.settings
    tree: dict[str, Any] = {
        field.name: _plain(getattr(settings, field.name), field)
        for field in attrs.fields(Settings)
        if field.name != "sections"
    }
    tree["executors"] = {name: _plain(one) for name, one in loaded.executors.items()}
    tree["balancers"] = {
        name: _plain(one)
        for name, one in loaded.balancers.items()
        if name == settings.schedule.balancer or _was_set(("balancers", name), loaded.origins)
    }
    for kind in (loaded.stores, loaded.observers, loaded.services):
        for name, one in kind.items():
            chosen = kind is not loaded.stores or name == settings.store
            if chosen or _was_set((name,), loaded.origins):
                tree.setdefault(name, {}).update(_plain(one))
    return tree


def _was_set(place: Place, origins: Mapping[Place, Origin]) -> bool:
    return any(one[: len(place)] == place for one in origins)


def _plain(value: Any, field: Any = None) -> Any:
    """A value as YAML has it: durations as text, secrets blacked out."""
    if field is not None and is_secret(field):
        return _redacted(value)
    if attrs.has(type(value)):
        fields = attrs.fields(type(value))
        return {
            one.alias or one.name: _plain(getattr(value, one.name), one)
            for one in fields
            if one.init
        }
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return without_passwords(value)
    if isinstance(value, Mapping):
        return {
            str(key): _redacted(item) if is_secret_name(str(key)) else _plain(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | None) else str(value)


def _redacted(value: Any) -> Any:
    """Show that there is a secret, and under which names, but not its value."""
    if isinstance(value, Mapping):
        return {str(key): _redacted(item) for key, item in value.items()}
    return _plain(value) if value in ("", None) else REDACTED


def _lines(tree: Mapping[str, Any], place: Place, origins: Mapping[Place, Origin]) -> Iterator[str]:
    indent = "  " * len(place)
    for key, value in tree.items():
        here = (*place, key)
        name = f"{indent}{_scalar(key)}:"
        if isinstance(value, Mapping) and value:
            yield name
            yield from _lines(value, here, origins)
        else:
            found = origins.get(here)
            origin = "default" if found is None else found.text
            yield f"{f'{name} {_scalar(value)}':<{WIDTH}}  # {origin}"


def _scalar(value: Any) -> str:
    """One value on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**9, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()
