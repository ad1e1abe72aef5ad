"""What task files declare and what the cluster has: read, judged by the server, compared."""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain, islice
from typing import Any

import attrs

from dsched.config import ConfigError
from dsched.config.problems import Problem
from dsched.config.task_file import RawEntry, read_entries
from dsched.config.yaml_reader import Document
from dsched.declaring.plan import Conflict, DeclarationPlan, Present, plan_declaration
from dsched.model import API_ORIGIN, Limit, file_origin
from dsched_cli.declared_limits import (
    LimitDifference,
    Limits,
    limit_difference,
    limits_of,
    named_after,
    refuse_unknown,
    stored_limits,
)
from dsched_cli.errors import ApiError, UsageError
from dsched_cli.firing import FireDifference, compare
from dsched_cli.progress import Progress
from dsched_cli.putting import Done, Wanted, put_many
from dsched_cli.session import Session
from dsched_cli.task_files import files_below, unreadable

# In the order in which they are carried out, and shown.
ACTIONS = ("create", "change", "adopt", "orphan", "delete", "resume")


_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


@attrs.frozen
class Declared:
    """One entry of a file, with where it stands."""

    id: str
    content: Mapping[str, Any]
    document: Document = attrs.field(repr=False)
    raw: RawEntry = attrs.field(repr=False)

    @cached_property
    def text(self) -> bytes:
        """The entry with its id as JSON. Made once: it is sent to be judged, and to be put."""
        entry = {"id": self.id, **self.content}
        return _JSON.encode(entry).encode()


@attrs.frozen(kw_only=True)
class Change:
    """What has to happen to one config. ``old`` and ``new`` are the API's records; ``text`` is the
    entry to put."""

    id: str
    origin: str
    action: str
    text: bytes = attrs.field(default=b"", repr=False)
    old: Mapping[str, Any] | None = None
    new: Mapping[str, Any] | None = None
    fires: FireDifference = attrs.field(factory=FireDifference)

    @property
    def keys(self) -> list[str]:
        """The keys of the entry that differ."""
        before = (self.old or {}).get("spec") or {}
        after = (self.new or {}).get("spec") or {}
        if not before or not after:
            return []
        names = {*before, *after}
        return sorted(name for name in names if before.get(name) != after.get(name))

    @property
    def values(self) -> list[tuple[str, Any, Any]]:
        """What differs, as it was and as it will be; of the steps of a workflow each key."""
        before = (self.old or {}).get("spec") or {}
        after = (self.new or {}).get("spec") or {}
        found: list[tuple[str, Any, Any]] = []
        for key in self.keys:
            old, new = before.get(key), after.get(key)
            if key == "steps" and isinstance(old, dict) and isinstance(new, dict):
                found += _of_steps(old, new)
            else:
                found.append((key, old, new))
        return found


def _of_steps(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    for step_id in dict.fromkeys([*before, *after]):
        old, new = before.get(step_id), after.get(step_id)
        if not isinstance(old, dict) or not isinstance(new, dict):
            yield f"steps.{step_id}", old, new
            continue
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key):
                yield f"steps.{step_id}.{key}", old.get(key), new.get(key)


@attrs.frozen(kw_only=True)
class Read:
    """What the files that were read declare, by origin: each file's own, or the one given."""

    entries: dict[str, list[Declared]] = attrs.field(factory=dict)
    limits: dict[str, dict[str, Limit]] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Difference:
    """Everything that separates the files from the cluster."""

    limits: LimitDifference = attrs.field(factory=LimitDifference)
    changes: tuple[Change, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    unchanged: int = 0

    def of(self, action: str) -> list[Change]:
        """The changes of one kind."""
        return [one for one in self.changes if one.action == action]

    @property
    def fires(self) -> FireDifference:
        """All fires together."""
        return FireDifference(
            removed=sum(one.fires.removed for one in self.changes),
            added=sum(one.fires.added for one in self.changes),
            kept=sum(one.fires.kept for one in self.changes),
        )


def entries_of(path: str) -> list[Declared]:
    """The entries of one file, not judged yet."""
    return _read(path)[1]


def _read(path: str) -> tuple[Document, list[Declared]]:
    try:
        document, found = read_entries(path)
    except ConfigError as error:
        raise unreadable(error) from error
    return document, [Declared(one.id, one.content, document, one) for one in found]


def read_declared(
    given: Iterable[str], origin: str | None, found: Read
) -> Iterator[tuple[str, Declared]]:
    """The entries of all files with their origins, file by file as they are asked for; they and
    the limits are added to ``found``."""
    where: dict[str, str] = {}
    limits_where: dict[str, str] = {}
    for path in files_below(given):
        document, entries = _read(path)
        whose = origin or file_origin(path)
        limits_of(document, found.limits.setdefault(whose, {}), limits_where)
        for entry in entries:
            first = where.setdefault(entry.id, path)
            if first != path:
                raise UsageError(
                    f"{entry.id} is declared in two files",
                    why=f"in {first} and in {path}",
                    todo="keep one of them",
                )
        found.entries.setdefault(whose, []).extend(entries)
        yield from ((whose, entry) for entry in entries)


def difference(
    session: Session,
    files: Iterable[str],
    *,
    origin: str | None,
    adopt: bool,
    prune: bool,
    first_ms: int,
    last_ms: int,
) -> Difference:
    """Compare the declared with the stored configs; the server judges each entry in a dry run,
    those of one file while the next is read."""
    read = Read()
    entries = read_declared(files, origin, read)
    # What is wrong with the first file, mostly the only one, is told whether or not a server is
    # there.
    first = list(islice(entries, 1))
    stored = {str(one["id"]): one for one in session.api.items("/configs")}
    limits = Limits(declared=read.limits, stored=stored_limits(session))
    judged = _judge(session, chain(first, entries), stored)
    all_entries = [one for entries in read.entries.values() for one in entries]
    refuse_unknown(((one.document, one.raw) for one in all_entries), limits.known)
    plans = _plans(read, judged, stored, adopt=adopt, prune=prune)
    changes = tuple(
        _with_fires(change, first_ms, last_ms)
        for plan in plans
        for change in _changes(plan, read.entries[plan.origin], stored, judged)
    )
    return Difference(
        limits=_limit_difference(limits, stored, changes, adopt=adopt, prune=prune),
        changes=changes,
        conflicts=tuple(one for plan in plans for one in plan.conflicts),
        unchanged=sum(len(plan.unchanged) for plan in plans),
    )


def _plans(
    read: Read,
    judged: Mapping[str, Any],
    stored: Mapping[str, Mapping[str, Any]],
    *,
    adopt: bool,
    prune: bool,
) -> list[DeclarationPlan]:
    """What has to happen for each origin."""
    present = [_present(one) for one in stored.values()]
    return [
        plan_declaration(
            present,
            {one.id: judged[one.id]["spec"] for one in entries},
            origin=origin,
            adopt=adopt,
            prune=prune and origin != API_ORIGIN,
            orphan=origin != API_ORIGIN,
        )
        for origin, entries in read.entries.items()
    ]


def _changes(
    plan: DeclarationPlan,
    entries: Iterable[Declared],
    stored: Mapping[str, Any],
    judged: Mapping[str, Any],
) -> Iterator[Change]:
    texts = {one.id: one.text for one in entries}
    for action in ACTIONS:
        for config_id in getattr(plan, action):
            yield Change(
                id=config_id,
                origin=plan.origin,
                action=action,
                text=texts.get(config_id, b""),
                old=stored.get(config_id),
                new=judged.get(config_id),
            )


def _limit_difference(
    limits: Limits,
    stored: Mapping[str, Mapping[str, Any]],
    changes: Iterable[Change],
    *,
    adopt: bool,
    prune: bool,
) -> LimitDifference:
    deleted = [one.id for one in changes if one.action == "delete"]
    judged = [one.new for one in changes if one.new is not None]
    named = named_after(stored, deleted, judged)
    return limit_difference(limits, named=named, adopt=adopt, prune=prune)


def _present(record: Mapping[str, Any]) -> Present:
    return Present(
        id=str(record["id"]),
        origin=str(record.get("origin", API_ORIGIN)),
        content=record["spec"],
        paused=bool(record.get("paused")),
        orphaned=bool(record.get("orphaned")),
    )


def _judge(
    session: Session, entries: Iterable[tuple[str, Declared]], stored: Mapping[str, Any]
) -> dict[str, Any]:
    """Each entry as the server would store it; all refusals are in one report."""
    judged: dict[str, Any] = {}
    problems: dict[str, list[Problem]] = {}
    by_id: dict[str, Declared] = {}

    def wanted() -> Iterator[Wanted]:
        for origin, entry in entries:
            by_id[entry.id] = entry
            # Origins are compared here, so the server is asked about the content alone.
            asked = _asked(stored.get(entry.id), origin)
            yield Wanted(id=entry.id, text=entry.text, origin=asked)

    with Progress("judging configs", None) as progress:
        for done in put_many(session, wanted(), dry_run=True, progress=progress):
            if done.error is None:
                judged[done.id] = _as_judged(done, by_id[done.id], stored.get(done.id))
            elif isinstance(done.error, ApiError) and done.error.kind == "invalid":
                problems[done.id] = _problems(by_id[done.id], done.error)
            else:
                raise done.error
    if problems:
        in_order = [problem for one in by_id for problem in problems.get(one, ())]
        raise unreadable(ConfigError(in_order))
    return judged


def _as_judged(done: Done, entry: Declared, stored: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The record of what would be stored; where the server sends none, it is known here."""
    if done.config is not None:
        return done.config
    if done.outcome == "unchanged" and stored is not None:
        return stored
    return {
        "id": entry.id,
        "spec": entry.content,
        "enabled": entry.content.get("enabled", True),
    }


def _asked(stored: Mapping[str, Any] | None, origin: str) -> str:
    return origin if stored is None else str(stored.get("origin"))


def _problems(entry: Declared, error: ApiError) -> list[Problem]:
    """A refusal by field as places in the file."""
    found = []
    given = error.problem.get("errors")
    for one in given if isinstance(given, list) else []:
        field = str(one.get("field", ""))
        place = (*entry.raw.place, *(part for part in field.split(".") if part))
        found.append(entry.document.problem(place, str(one.get("reason", ""))))
    return found or [entry.document.problem(entry.raw.place, error.why or error.what)]


def _with_fires(change: Change, first_ms: int, last_ms: int) -> Change:
    old, new = change.old, change.new
    if change.action in ("orphan", "delete"):
        new = None
    elif new is not None and old is not None:
        # What an operator paused stays so, whatever a file says; only an orphan is resumed.
        new = {**new, "paused": None if change.action == "resume" else old.get("paused")}
    if change.action in ("create", "change", "adopt") and (old or {}).get("orphaned"):
        return change  # the resume that follows carries the fires
    found = compare(old, new, first_ms=first_ms, last_ms=last_ms)
    return attrs.evolve(change, fires=found)
