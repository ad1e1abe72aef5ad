"""Copies of a store's content, to be put back when the store loses its last moments."""

import copy
from collections import OrderedDict, defaultdict
from typing import Any

from dsched_testkit.memory import State, new_state

# What belongs to the server or to its clients, not to what it stores.
_NOT_STORED = frozenset({"wall", "settings", "lock", "wakeups"})


def copy_of(owner: object) -> dict[str, Any]:
    """Everything that ``owner`` keeps, detached from what happens to it later."""
    return {
        name: _copied(value) for name, value in _fields(owner).items() if name not in _NOT_STORED
    }


def put_back(owner: object, kept: dict[str, Any]) -> None:
    """Make ``owner`` what it was when `copy_of` gave ``kept``."""
    for name, value in kept.items():
        setattr(owner, name, value)


def nothing_stored(state: State) -> dict[str, Any]:
    """What a store holds after somebody emptied it."""
    return copy_of(new_state(state.wall, state.settings))


def _fields(owner: object) -> dict[str, Any]:
    if hasattr(owner, "__dict__"):
        return dict(vars(owner))
    names = (name for cls in type(owner).__mro__ for name in getattr(cls, "__slots__", ()))
    return {name: getattr(owner, name) for name in names if name != "__weakref__"}


def _copied(value: Any) -> Any:
    if isinstance(value, (dict, defaultdict, OrderedDict)):
        twin = copy.copy(value)
        for key in twin:
            twin[key] = _copied(twin[key])
        return twin
    if isinstance(value, list):
        return [_copied(one) for one in value]
    if isinstance(value, set):
        return set(value)
    if not _changes(type(value)):
        return value
    twin = copy.copy(value)
    for name, inner in _fields(value).items():
        setattr(twin, name, _copied(inner))
    return twin


def _changes(cls: type) -> bool:
    """Whether objects of ``cls`` are changed in place: ours are, unless they are frozen."""
    frozen = getattr(cls.__setattr__, "__name__", "") == "_frozen_setattrs"
    return cls.__module__.startswith("dsched_testkit") and not frozen
