"""Limits: how many tasks of a kind may be in the hands of workers at once, how many may begin in a
span of time, and how tasks name them.

A task names limits: ``crm-api``, or an *instance* of one, ``tenant:acme``: each tenant has the
limit ``tenant`` to itself, and ``tenant:acme`` may be given numbers of its own.
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
        if limit_name(self.id) != self.id:
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
    """The names that a submission gives, as they are stored."""
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
