"""What a plugin hands over at start-up: a name, an options class and a way to open the object."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from dsched.contracts.balancer import LoadBalancer
from dsched.contracts.executor import Executor, PayloadCheck, accept_any_payload
from dsched.contracts.observer import Observer
from dsched.contracts.service import Pages, Service
from dsched.contracts.store import Store
from dsched.contracts.store.moving import Mover
from dsched.contracts.store.settings import StoreSettings

# An options class is any attrs class; cattrs fills it, so its type is known to its author only.
Options: TypeAlias = Any

# The version of this plugin API; additive changes only within one.
PLUGIN_API = 1


@attrs.frozen
class NoOptions:
    """The options of a plugin that has none."""


@attrs.frozen(kw_only=True)
class ExecutorProvider:
    """An executor: ``name`` is what a config's `executor` says, ``protocol`` its default `type`.

    Its options are read from ``executors.<name>`` of the configuration.
    """

    name: str
    protocol: str
    open: Callable[[Options], AbstractAsyncContextManager[Executor]]
    options: type[Options] = NoOptions
    check_payload: PayloadCheck = accept_any_payload
    api: int = PLUGIN_API


@attrs.frozen(kw_only=True)
class BalancerProvider:
    """A load balancer; options are read from the section ``balancers.<name>``."""

    name: str
    build: Callable[[Options], LoadBalancer]
    options: type[Options] = NoOptions
    api: int = PLUGIN_API


@attrs.frozen(kw_only=True)
class StoreProvider:
    """A store; options are read from the top-level section named like it.

    ``open`` gives one handle. A pod opens several (general use, leader renewal, heartbeat), in
    different threads and event loops; all of them speak to the same store. ``absent`` says in a
    sentence that there is no store yet and opening would create it, or answers None; so that a
    check can leave everything as it is. ``mover`` is how the store is backed up and moved, where
    it can be.
    """

    name: str
    open: Callable[[Options, StoreSettings], AbstractAsyncContextManager[Store]]
    options: type[Options] = NoOptions
    absent: Callable[[Options], str | None] = lambda _options: None
    mover: Callable[[Options, StoreSettings], Mover] | None = None
    api: int = PLUGIN_API


@attrs.frozen(kw_only=True)
class ObserverProvider:
    """An observer; options are read from the top-level section named like it."""

    name: str
    open: Callable[[Options], AbstractAsyncContextManager[Observer]]
    options: type[Options] = NoOptions
    api: int = PLUGIN_API


@attrs.frozen(kw_only=True)
class ServiceProvider:
    """A service; ``name`` is also the role that switches it on (``--role``).

    Its options are read from the top-level section named like it.

    ``before`` serves, at the same address, what can be said while the pod still waits for its
    store: that the process lives, and why it is not ready, which its second argument says. It is
    left before ``open``'s service runs. A pod whose ``before`` fails goes on without.
    """

    name: str
    open: Callable[[Options], AbstractAsyncContextManager[Service]]
    options: type[Options] = NoOptions
    before: Callable[[Options, Callable[[], str]], AbstractAsyncContextManager[object]] | None = (
        None
    )
    api: int = PLUGIN_API


@attrs.frozen(kw_only=True)
class PagesProvider:
    """Static files that the service which answers HTTP serves below ``/NAME/``; see `Pages`."""

    name: str
    folder: Path
    options: type[Options] = NoOptions
    api: int = PLUGIN_API

    @property
    def pages(self) -> Pages:
        """What is served."""
        return Pages(name=self.name, folder=self.folder)
