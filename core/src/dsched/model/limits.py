"""Limits: how many tasks of a kind may be in the hands of workers at once, how many may begin in a
span of time, and how tasks name them.

A task names limits: ``crm-api``, or an *instance* of one, ``tenant:acme``: each tenant has the
limit ``tenant`` to itself, and ``tenant:acme`` may be given numbers of its own.

A config with ``max_running`` has a limit of its own: `own_limit` is its name, which nobody else can
give. The store keeps it with the config, and its tasks name it after the limits of the config.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import attrs

from dsched.model.fields import InvalidConfigError, check_whole
from dsched.model.rates import Pace, pace_of, rate_text

MAX_LIMITS_A_TASK = 4
MOST_RUNNING = 1_000_000
_LONGEST = 200  # characters of a name with references
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_HASHED = re.compile(r"~[0-9a-f]{40}")
# What the name of a config's own limit begins with: it comes after all other names.
OWN = "~"
_OWN_NAME = re.compile(OWN + r"[A-Za-z0-9][A-Za-z0-9_.~-]{0,127}")


@attrs.frozen(kw_only=True)
class Limit:
    """``id``: of the limit, or of one instance that has numbers of its own. ``max_running``: how
    many tasks may be queued at workers or run at once. ``rate``: how many may begin in a span of
    time, as in ``100/1m``. ``burst``: how many of these at once, after a pause; without it what
    comes in 100 ms. One of ``max_running`` and ``rate`` is given, or both."""

    id: str
    max_running: int | None = None
    rate: str | None = attrs.field(default=None, converter=rate_text)
    burst: int | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse what is no limit, naming the field."""
        if owner_of(self.id) is None and limit_name(self.id) != self.id:
            raise InvalidConfigError(
                "id",
                f"{self.id[:80]!r} is no limit's; {_WHAT_IS_ONE}, as in crm-api or tenant:acme",
            )
        if self.max_running is not None:
            check_whole("max_running", self.max_running, 0, MOST_RUNNING)
        elif self.rate is None and self.burst is None:
            raise InvalidConfigError(
                "max_running", "is not given, nor is a rate: such a limit bounds nothing; give one"
            )
        pace_of(self.rate, self.burst)

    @property
    def pace(self) -> Pace | None:
        """How its tokens come; None: it has no rate."""
        return pace_of(self.rate, self.burst)


_WHAT_IS_ONE = "1 to 64 of A-Z a-z 0-9 _ . -, and after a colon as many for an instance"


def limit_name(text: Any) -> str:
    """The name of a limit as it is stored: an instance that is not plain text is hashed."""
    return _name(text, refers=False)


def _name(text: Any, *, refers: bool) -> str:
    if not isinstance(text, str):
        raise InvalidConfigError("limits", f"are texts; quote {text!r}")
    limit_id, colon, instance = text.partition(":")
    if not _ID.fullmatch(limit_id):
        raise InvalidConfigError("limits", f"{text[:80]!r} names no limit; {_WHAT_IS_ONE}")
    if not colon:
        return limit_id
    if "${" not in instance:
        return instance_name(limit_id, instance, text)
    if not refers:
        raise InvalidConfigError(
            "limits",
            f"{text[:80]!r}: the instance of a task is a literal; only a config may refer to its "
            "params here",
        )
    if len(text) > _LONGEST:
        raise InvalidConfigError("limits", f"{text[:80]!r}: at most {_LONGEST} characters")
    return text


def instance_name(limit_id: str, instance: str, text: str) -> str:
    """The name of an instance as it is stored; ``text`` is what was written for it."""
    if not instance:
        raise InvalidConfigError("limits", f"{text[:80]!r} names no instance after its colon")
    if not (_PLAIN.fullmatch(instance) or _HASHED.fullmatch(instance)):
        digest = hashlib.sha256(instance.encode("utf-8", "surrogatepass")).hexdigest()
        instance = f"~{digest[:40]}"
    return f"{limit_id}:{instance}"


def limit_names(given: Any) -> tuple[str, ...]:
    """The names that a task gives, as they are stored: the last one may be its config's own."""
    if isinstance(given, list | tuple) and given and owner_of(given[-1]) is not None:
        return (*names_of(given[:-1], refers=False), given[-1])
    return names_of(given, refers=False)


def names_of(given: Any, *, refers: bool) -> tuple[str, ...]:
    """The names that are given, as they are stored; where they may ``refer`` to params, one that
    does is left as it is."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InvalidConfigError("limits", f"must be a list of names, got {str(given)[:80]!r}")
    names = tuple(_name(one, refers=refers) for one in given)
    if len(names) > MAX_LIMITS_A_TASK:
        raise InvalidConfigError("limits", f"at most {MAX_LIMITS_A_TASK}, got {len(names)}")
    if len(set(names)) != len(names):
        raise InvalidConfigError("limits", f"{', '.join(names)}: name each once")
    return names


def limit_of(name: str) -> str:
    """The limit of an instance; of anything else itself."""
    return name.partition(":")[0]


def own_limit(config_id: str) -> str:
    """The name of the limit that a config has by its ``max_running``. A colon of the id is written
    otherwise, as it begins an instance here."""
    return OWN + config_id.replace(":", OWN)


def owner_of(name: Any) -> str | None:
    """The config whose own limit this is; None: it is any other name."""
    if not isinstance(name, str) or not _OWN_NAME.fullmatch(name):
        return None
    return name.removeprefix(OWN).replace(OWN, ":")


def check_own_limit(max_running: Any, *, composite: bool) -> None:
    """Refuse a ``max_running`` that a config cannot have."""
    check_whole("max_running", max_running, 1, MOST_RUNNING)
    if composite:
        raise InvalidConfigError(
            "max_running",
            "bounds tasks that workers run, and a run of many tasks takes no place at a worker; "
            "bound its members with limits, or its runs with overlap: queue_all",
        )
