"""Classes of ready tasks: what decides who may run a task, and those that nobody can run now.

A task's *class* is a text: what it demands of a worker. Tasks of one class can be run by the same
workers. While nobody can run a class the leader *shuts* it: its ready tasks, and those that become
ready meanwhile, wait under it and are in no page of ready tasks. When there is room for some of
them the leader *lets* them out, the best first.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

import attrs

from dsched.model.json import dumps, loads

# From which format of the store on it has classes.
CLASSES_FROM = 4
# How many ready tasks a step that shuts classes looks through for such that belong to them.
SWEPT = 1000
# Classes that one `Let` may name, and how many tasks a poll ends whose start deadline has passed.
MAX_LET_CLASSES = 256
MAX_EXPIRED = 40


class Blocked(StrEnum):
    """Why nobody can run a class now."""

    NOBODY = "nobody"  # no worker that is there has what it demands
    FULL = "full"  # those that have are full


@attrs.frozen
class Shut:
    """This class is shut, or shut for another reason than before."""

    text: str
    blocked: Blocked


@attrs.frozen
class Let:
    """Of the tasks that wait under these classes the first ``limit``, in the order of ready tasks,
    are let out; with ``above`` only those of a higher priority."""

    classes: tuple[str, ...]
    limit: int
    above: int = -1


@attrs.frozen(kw_only=True)
class ShutClass:
    """A class that is shut: why, since when for this reason (wall), how many wait, and since when
    the oldest is to run (wall, None: none waits)."""

    text: str
    blocked: Blocked
    since_ms: int
    waiting: int
    oldest_ms: int | None

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels that it demands."""
        return labels_of(self.text)

    @property
    def need(self) -> str:
        """What a worker has to be able to run for it."""
        return need_of_class(self.text)


@attrs.frozen(kw_only=True)
class ClassPage:
    """Shut classes by text; ``cursor`` continues, None at the end."""

    classes: tuple[ShutClass, ...]
    cursor: str | None


@lru_cache(maxsize=4096)
def _text(labels: tuple[tuple[str, str], ...], need: str) -> str:
    return dumps({"labels": dict(labels), "need": need, "v": 1})


def class_text(required_labels: Mapping[str, str], need: str = "") -> str | None:
    """The class of a task that demands these labels and has this need; None of one that demands
    nothing, which any worker can run. Equal demands have equal texts. More keys will come, with
    another ``v``."""
    if not (required_labels or need):
        return None
    return _text(tuple(sorted(required_labels.items())), need)


@lru_cache(maxsize=16384)
def labels_of(text: str) -> Mapping[str, str]:
    """The labels of a class."""
    labels: dict[str, str] = loads(text)["labels"]
    return labels


@lru_cache(maxsize=16384)
def need_of_class(text: str) -> str:
    """The need of a class, "" if it has none."""
    need: str = loads(text)["need"]
    return need


class Classing(ABC):
    """What is to be known of classes. `Dispatching.dispatch` shuts them and lets tasks out."""

    @abstractmethod
    async def shut_classes(self, cursor: str | None, limit: int) -> ClassPage:
        """The classes that are shut, by text, at most ``limit``; none where the format of the store
        has no classes."""
