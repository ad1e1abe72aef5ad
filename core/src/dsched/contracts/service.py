"""The service contract: something that lives beside the pod, such as a metrics page or an API."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs

from dsched.contracts.observer import Scrape
from dsched.contracts.store import Store
from dsched.model import JsonValue, TaskConfig, TaskSpec


@attrs.frozen(kw_only=True)
class PodStatus:
    """What a pod says of itself; `ready` is what a readiness probe answers.

    While the store takes none of its writes, ``writes_refused`` is a word for why and
    ``store_words`` what the store says; else both are empty.
    """

    name: str
    roles: frozenset[str]
    ready: bool
    leading: bool
    draining: bool
    detail: str
    writes_refused: str = ""
    store_words: str = ""


class ServiceError(Exception):
    """Why a service cannot run as things are, such as an address that is taken.

    The message says what, why and what to do, so it is logged as one line, without a trace.
    """


class EntryError(ValueError):
    """What was handed in cannot be a config or a task; ``flaws`` are all the (field, reason)."""

    def __init__(self, flaws: Sequence[tuple[str, str]]) -> None:
        self.flaws = tuple(flaws)
        super().__init__("; ".join(f"{field}: {reason}" for field, reason in self.flaws))


@attrs.frozen(kw_only=True)
class PluginFacts:
    """An installed plugin: ``kind`` is executor, balancer, store, observer, service or pages."""

    kind: str
    name: str
    distribution: str
    version: str


class Intake(Protocol):
    """Judges what comes from outside, exactly as a task file of this pod would be judged."""

    def config(self, config_id: str, entry: Mapping[str, Any]) -> TaskConfig:
        """The config of an entry with the keys of a task file, `id` left out; `EntryError`."""

    def entry(self, config: TaskConfig) -> dict[str, JsonValue]:
        """An entry that `config` reads as an equal config: JSON, durations as text, no defaults."""

    def spec(self, entry: Mapping[str, Any]) -> TaskSpec:
        """The snapshot of a task without a config: the entry's keys that need no trigger;
        `EntryError`."""

    def spec_entry(self, spec: TaskSpec) -> dict[str, JsonValue]:
        """An entry that `spec` reads as an equal snapshot."""

    def plugins(self) -> tuple[PluginFacts, ...]:
        """What is installed, by kind and name."""


@attrs.frozen(kw_only=True)
class Pages:
    """Static files for people, which the service that answers HTTP serves below ``/NAME/``.

    ``folder`` holds them, ``index.html`` among them: that one is answered to every path below
    ``/NAME/`` that names no file. It refers to the other files by paths that begin with ``./``.
    """

    name: str
    folder: Path


class PodView(Protocol):
    """The pod as a service sees it."""

    @property
    def intake(self) -> Intake:
        """The judge of configs and tasks that a service takes in."""

    @property
    def pages(self) -> tuple[Pages, ...]:
        """The pages that are installed, by name; for the service that answers HTTP."""

    @property
    def store(self) -> Store:
        """The pod's store, for reading and for submitting."""

    def status(self) -> PodStatus:
        """How the pod is now; never touches the store."""

    async def scrape(self) -> Scrape | None:
        """The figures of the pod's observer that has some (`Scraped`); None if none has."""


class Service(Protocol):
    """Runs until cancelled. An exception is logged and restarts it with a growing delay; a
    `ServiceError` is logged by its message alone."""

    async def run(self, pod: PodView) -> None:
        """Serve until cancelled; re-raise the cancellation."""
