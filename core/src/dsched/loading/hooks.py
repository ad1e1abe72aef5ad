"""Typed methods in front of the pluggy hooks: one plugin asked at a time, every answer checked."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import attrs
import pluggy

from dsched.contracts import (
    PLUGIN_API,
    BalancerProvider,
    ExecutorProvider,
    ObserverProvider,
    PagesProvider,
    ServiceProvider,
    StoreProvider,
    hookspecs,
)
from dsched.loading.naming import name_problem
from dsched.loading.opening import HOW_TO_OPEN

P = TypeVar("P")

KINDS: Mapping[str, type[Any]] = {
    "executors": ExecutorProvider,
    "balancers": BalancerProvider,
    "stores": StoreProvider,
    "observers": ObserverProvider,
    "services": ServiceProvider,
    "pages": PagesProvider,
}
MAX_PROVIDERS = 1_000


class BadPluginError(Exception):
    """A plugin that cannot be used; the message says why and what its author has to do."""


class Hooks:
    """The registered plugins, asked through pluggy."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)

    def register(self, plugin: object, name: str) -> None:
        """Add a plugin under a unique name; `BadPluginError` for a hook that nobody calls."""
        try:
            self._manager.register(plugin, name=name)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            self._manager.unregister(name=name)
            raise BadPluginError(f"{error}; the hooks are {_hook_names()}") from error
        except ValueError as error:
            raise BadPluginError(f"it is declared twice ({error})") from error
        self._refuse_unmarked(plugin, name)

    def ask(self, name: str, kind: str, provider_type: type[P]) -> list[P]:
        """What the plugin ``name`` provides of a kind; `BadPluginError` if that is no provider."""
        hook = f"dsched_{kind}"
        answers: list[P] = []
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            if implementation.plugin_name != name:
                continue
            for item in _answer(implementation.function, hook, provider_type):
                _check_provider(item, hook)
                answers.append(item)
        return answers

    def _refuse_unmarked(self, plugin: object, name: str) -> None:
        """Refuse a function named like a hook but not marked: pluggy would silently ignore it."""
        home = getattr(plugin, "__name__", None)
        marked = {caller.name for caller in self._manager.get_hookcallers(plugin) or ()}
        for attribute, value in getattr(plugin, "__dict__", {}).items():
            if not attribute.startswith("dsched_") or attribute in marked:
                continue
            if inspect.isroutine(value) and getattr(value, "__module__", None) == home:
                self._manager.unregister(name=name)
                raise BadPluginError(
                    f"its function {attribute} looks like a hook but is none: mark it with "
                    f"@hookimpl from dsched.contracts; the hooks are {_hook_names()}"
                )
        if not marked:
            self._manager.unregister(name=name)
            raise BadPluginError(f"it implements none of the hooks {_hook_names()}")


def _hook_names() -> str:
    return ", ".join(f"dsched_{kind}" for kind in KINDS)


def _answer(function: Any, hook: str, provider_type: type[P]) -> list[P]:
    """Call a hook and unroll what it returns: a bounded collection of providers of one type."""
    items: list[P] = []
    try:
        answer = function()
        if inspect.iscoroutine(answer):
            answer.close()
            raise BadPluginError(f"{hook} is an async function; hooks are plain functions")
        if not isinstance(answer, Iterable) or isinstance(answer, str | bytes | Mapping):
            raise BadPluginError(
                f"{hook} returned {_called(answer)}; it must return a list of "
                f"{provider_type.__name__}"
            )
        for item in answer:
            if not isinstance(item, provider_type):
                raise BadPluginError(
                    f"{hook} returned a list with {_called(item)} in it; "
                    f"each item must be a {provider_type.__name__}"
                )
            items.append(item)
            if len(items) > MAX_PROVIDERS:
                raise BadPluginError(f"{hook} returned more than {MAX_PROVIDERS} providers")
    except BadPluginError:
        raise
    except Exception as error:
        raise BadPluginError(f"{hook} raised {type(error).__name__}: {error}") from error
    return items


def _called(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _check_open(opener: Any, where: str) -> None:
    """Refuse an undecorated async function, with or without a yield: it is no context manager."""
    kinds = (inspect.iscoroutinefunction, inspect.isasyncgenfunction, inspect.isgeneratorfunction)
    if any(is_one(opener) for is_one in kinds):
        raise BadPluginError(f"{where}: its open is no async context manager: {HOW_TO_OPEN}")


def _check_provider(provider: Any, hook: str) -> None:
    """What every kind of provider must fulfil; options, opener and payload check included."""
    where = f"{hook}: provider {provider.name!r}"
    if provider.api != PLUGIN_API:
        raise BadPluginError(
            f"{where} is written for plugin API {provider.api}, this dsched has plugin API "
            f"{PLUGIN_API}; install a version of the plugin, or of dsched, that fits"
        )
    problem = name_problem(provider.name, hook.removeprefix("dsched_"))
    if problem:
        raise BadPluginError(f"{where} {problem}")
    if not (isinstance(provider.options, type) and attrs.has(provider.options)):
        raise BadPluginError(f"{where}: its options must be an attrs class")
    try:
        attrs.resolve_types(provider.options)
    except Exception as error:
        reason = f"a type of its options cannot be resolved: {error}; import it at module level"
        raise BadPluginError(f"{where}: {reason}") from error
    for ability in ("open", "build", "check_payload"):
        if hasattr(provider, ability) and not callable(getattr(provider, ability)):
            raise BadPluginError(f"{where}: its {ability} cannot be called")
    _check_open(getattr(provider, "open", None), where)
    if isinstance(provider, ExecutorProvider):
        protocol = name_problem(provider.protocol, "protocols")
        if protocol:
            raise BadPluginError(f"{where}: its protocol {provider.protocol!r} {protocol}")
