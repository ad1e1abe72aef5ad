"""The hooks a plugin may implement. Each is synchronous, does no I/O and is called once."""

from collections.abc import Iterable

import pluggy

from dsched.contracts.providers import (
    BalancerProvider,
    ExecutorProvider,
    ObserverProvider,
    PagesProvider,
    ServiceProvider,
    StoreProvider,
)

PROJECT = "dsched"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def dsched_executors() -> Iterable[ExecutorProvider]:  # type: ignore[empty-body]
    """The executors this plugin provides."""


@hookspec
def dsched_balancers() -> Iterable[BalancerProvider]:  # type: ignore[empty-body]
    """The load balancers this plugin provides."""


@hookspec
def dsched_stores() -> Iterable[StoreProvider]:  # type: ignore[empty-body]
    """The stores this plugin provides."""


@hookspec
def dsched_observers() -> Iterable[ObserverProvider]:  # type: ignore[empty-body]
    """The observers this plugin provides."""


@hookspec
def dsched_services() -> Iterable[ServiceProvider]:  # type: ignore[empty-body]
    """The services this plugin provides."""


@hookspec
def dsched_pages() -> Iterable[PagesProvider]:  # type: ignore[empty-body]
    """The pages for people that this plugin provides."""
