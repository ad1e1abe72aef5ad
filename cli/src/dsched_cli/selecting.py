"""Which configs a command is asked for, by pattern, label and owner, and which of their tasks."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any, TypeVar

import attrs
import click

from dsched_cli.cleaning import clean
from dsched_cli.completing import config_ids
from dsched_cli.errors import UsageError
from dsched_cli.session import Session
from dsched_cli.times import is_span, parse_instant, parse_span
from dsched_client.instants import rfc3339

R = TypeVar("R")

# How many configs are read to tell whose the tasks are that somebody triggered and that live.
MAX_CONFIGS = 5_000
_PAGE = 500
_WORKERS = 100

TERMINAL = ("success", "failed", "cancelled")
LIVE = ("pending", "running", "retrying")
STATUSES = (*LIVE, *TERMINAL)


@attrs.frozen(kw_only=True)
class Configs:
    """Which configs are meant: ``of`` an id or its beginning and a star, KEY=VALUE labels, an
    owner; None and nothing mean any."""

    of: str | None = None
    labels: tuple[str, ...] = ()
    owner: str | None = None

    @property
    def any(self) -> bool:
        """Whether every config is meant."""
        return self == Configs()

    @property
    def pattern(self) -> str:
        """What their ids are, or begin with."""
        return "*" if self.of is None else self.of

    def query(self, **more: Any) -> dict[str, Any]:
        """The parameters of a list that is narrowed so."""
        asked = {"label": self.labels or None, "owner": self.owner, **more}
        return {name: value for name, value in asked.items() if value is not None}

    def holds(self, session: Session) -> Callable[[str], bool]:
        """Whether a config's id is one of those; an empty one, of a task that no config made, is so
        where any is meant. What the id does not tell is read once, when the first is asked for."""
        of = self.of
        if self.any:
            return lambda _: True
        if not self.labels and self.owner is None:
            if of is not None and not of.endswith("*"):
                return lambda config_id: config_id == of
            prefix = self.pattern.removesuffix("*")
            return lambda config_id: config_id != "" and config_id.startswith(prefix)
        known: set[str] = set()
        read = False

        def found(config_id: str) -> bool:
            nonlocal read
            if not read:
                listed = session.api.items("/configs", most=MAX_CONFIGS, **self.query(config=of))
                known.update(str(one["id"]) for one in listed)
                read = True
            return config_id in known

        return found


def meant_options(of_help: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Add ``--of``, ``--label`` and ``--owner``."""

    def add(function: Callable[..., R]) -> Callable[..., R]:
        for option in (
            click.option("--owner", metavar="NAME", help="Of configs of this owner."),
            click.option(
                "--label",
                "labels",
                metavar="KEY=VALUE",
                multiple=True,
                help="Of configs that have this label; may be given again.",
            ),
            click.option(
                "--of", "of_config", metavar="CONFIG", help=of_help, shell_complete=config_ids
            ),
        ):
            function = option(function)
        return function

    return add


def configs_of(of: str | None, labels: tuple[str, ...], owner: str | None) -> Configs:
    """The configs that the options mean; what a label cannot be is refused."""
    parse_labels(labels)
    return Configs(of=of, labels=labels, owner=owner)


def parse_labels(given: tuple[str, ...]) -> dict[str, str]:
    """KEY=VALUE texts as labels."""
    labels = {}
    for text in given:
        key, found, value = text.partition("=")
        if not found or not key:
            raise UsageError(f"--label {clean(text)!r} is no label", todo="write KEY=VALUE")
        labels[key] = value
    return labels


def instant_of(session: Session, text: str | None) -> str | None:
    """An instant, or how long ago: ``2h``, ``-2h``, ``2026-01-31 09:00``."""
    if text is None:
        return None
    if is_span(text):
        return rfc3339(session.now - parse_span(text))
    return rfc3339(parse_instant(text, session.zone, session.now))


def tasks_of(
    session: Session,
    configs: Configs,
    *,
    status: str | None = None,
    since: str | None = None,
    until: str | None = None,
    most: int | None = None,
) -> Iterator[Any]:
    """The tasks of configs, each once: those that wait or run, then those that ended, the latest
    first; of a status only, if one is given. ``since`` and ``until`` are instants: what has not
    ended lies in no window that has an end.

    Live fires have an index; tasks triggered by hand are found among all live tasks, as far as a
    page of each home reaches.
    """
    lists: list[Iterator[Any]] = []
    if until is None and status not in TERMINAL:
        lists.append(_live(session, configs, status, most))
    if status is None or status in TERMINAL:
        query = configs.query(config=configs.pattern, status=status, since=since, until=until)
        lists.append(session.api.items("/tasks", most=most, **query))
    seen = set()
    for one in chain.from_iterable(lists):
        if one["id"] not in seen:
            seen.add(one["id"])
            yield one


def _live(
    session: Session, configs: Configs, status: str | None, most: int | None
) -> Iterator[Any]:
    query = configs.query(live_of=configs.pattern, status=status)
    yield from session.api.items("/tasks", most=most, **query)
    holds = configs.holds(session)
    for one in living(session):
        if status in (None, one["status"]) and holds(_config_of(one)):
            yield one


def _config_of(task: Mapping[str, Any]) -> str:
    """The config that made it, or nothing; a member of a run belongs to that run."""
    task_id = str(task["id"])
    return "" if "~" in task_id else task_id.rpartition("@")[0]


def living(session: Session) -> Iterator[Any]:
    """Tasks that wait or run, a page of each home, and of each worker's queue."""
    for home in ("lease", "ready", "delayed", "held", "open"):
        yield from session.api.items("/tasks", most=_PAGE, home=home)
    for worker in session.api.items("/workers", most=_WORKERS):
        if worker.get("queued"):
            worker_id = worker["id"]
            yield from session.api.items("/tasks", most=_PAGE, home="queue", worker=worker_id)
