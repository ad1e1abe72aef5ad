"""What task files declare of limits, and what the cluster has: compared."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import attrs

from dsched.config import ConfigError
from dsched.config.limits import KEYS, limit_content, read_limits, unknown_names
from dsched.config.problems import Problem
from dsched.config.task_file import RawEntry
from dsched.config.yaml_reader import Document
from dsched.declaring.plan import Conflict, Present, plan_declaration
from dsched.model import API_ORIGIN, Limit, limit_of
from dsched_cli.errors import UsageError
from dsched_cli.session import Session
from dsched_cli.task_files import unreadable

PUTS = ("create", "change", "adopt")


@attrs.frozen(kw_only=True)
class LimitChange:
    """What has to happen to one limit. ``old`` and ``new`` are what a file says of it."""

    id: str
    origin: str
    action: str
    old: Mapping[str, Any] = attrs.field(factory=dict)
    new: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def values(self) -> list[tuple[str, Any, Any]]:
        """What differs, as it was and as it will be."""
        names = [one for one in KEYS if self.old.get(one) != self.new.get(one)]
        return [(one, self.old.get(one), self.new.get(one)) for one in names]


@attrs.frozen(kw_only=True)
class Kept:
    """A limit that its file no longer has, and why it stays."""

    id: str
    origin: str
    why: str


@attrs.frozen(kw_only=True)
class LimitDifference:
    """Everything that separates the limits of the files from those of the cluster."""

    changes: tuple[LimitChange, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    kept: tuple[Kept, ...] = ()
    unchanged: int = 0

    @property
    def puts(self) -> list[LimitChange]:
        """What comes before the tasks that name them."""
        return [one for one in self.changes if one.action in PUTS]

    @property
    def deletes(self) -> list[LimitChange]:
        """What comes after the tasks that named them."""
        return [one for one in self.changes if one.action == "delete"]


@attrs.frozen(kw_only=True)
class Limits:
    """The limits of all files, by origin, and the stored ones as the API tells them, by id."""

    declared: Mapping[str, Mapping[str, Limit]]
    stored: Mapping[str, Mapping[str, Any]]

    @property
    def known(self) -> set[str]:
        """Those that a task may name."""
        return {*self.stored, *(one for limits in self.declared.values() for one in limits)}


def limits_of(document: Document, found: dict[str, Limit], where: dict[str, str]) -> None:
    """Add the limits of a file that was read without a problem; `UsageError` for one that another
    file has too."""
    for limit in read_limits(document)[0]:
        first = where.setdefault(limit.id, document.file)
        if first != document.file:
            raise UsageError(
                f"limit {limit.id} is declared in two files",
                why=f"in {first} and in {document.file}",
                todo="keep one of them",
            )
        found[limit.id] = limit


def stored_limits(session: Session) -> dict[str, Mapping[str, Any]]:
    """The limits of the cluster by id."""
    return {str(one["id"]): one for one in session.api.items("/limits")}


def refuse_unknown(entries: Iterable[tuple[Document, RawEntry]], known: Collection[str]) -> None:
    """Refuse entries that name limits which nobody has, each with its line."""
    problems: list[Problem] = []
    for document, raw in entries:
        if given := raw.content.get("limits"):
            problems += unknown_names(document, [((*raw.place, "limits"), given)], known)
    if problems:
        raise unreadable(ConfigError(problems))


def limit_difference(
    limits: Limits, *, named: Mapping[str, str], adopt: bool, prune: bool
) -> LimitDifference:
    """Compare; pure. ``named``: by limit a config that names it once all is applied."""
    present = [_present(one) for one in limits.stored.values()]
    changes: list[LimitChange] = []
    conflicts: list[Conflict] = []
    kept: list[Kept] = []
    unchanged = 0
    for origin, declared in limits.declared.items():
        wanted = {one: limit_content(limit) for one, limit in declared.items()}
        plan = plan_declaration(present, wanted, origin=origin, adopt=adopt, orphan=False)
        changes += [
            LimitChange(
                id=one,
                origin=origin,
                action=action,
                old=_content(limits.stored.get(one, {})),
                new=wanted[one],
            )
            for action in PUTS
            for one in getattr(plan, action)
        ]
        gone = [one for one in present if one.origin == origin and one.id not in wanted]
        for one in gone if origin != API_ORIGIN else ():
            why = _stays(one.id, named, prune=prune)
            if why:
                kept.append(Kept(id=one.id, origin=origin, why=why))
            else:
                old = _content(limits.stored[one.id])
                changes.append(LimitChange(id=one.id, origin=origin, action="delete", old=old))
        conflicts += plan.conflicts
        unchanged += len(plan.unchanged)
    return LimitDifference(
        changes=tuple(changes), conflicts=tuple(conflicts), kept=tuple(kept), unchanged=unchanged
    )


def _stays(limit_id: str, named: Mapping[str, str], *, prune: bool) -> str:
    if limit_id in named:
        return f"config {named[limit_id]} names it"
    return "" if prune else "--prune deletes it"


def named_after(
    stored: Mapping[str, Mapping[str, Any]], deleted: Collection[str], judged: Sequence[Any]
) -> dict[str, str]:
    """By limit a config that names it when everything is applied."""
    after = {one: record for one, record in stored.items() if one not in deleted}
    after |= {str(record["id"]): record for record in judged}
    return {
        limit_of(str(name)): config_id
        for config_id, record in after.items()
        for name in record["spec"].get("limits") or ()
    }


def _present(record: Mapping[str, Any]) -> Present:
    origin = str(record.get("origin", API_ORIGIN))
    return Present(id=str(record["id"]), origin=origin, content=_content(record))


def _content(record: Mapping[str, Any]) -> dict[str, Any]:
    return {one: record[one] for one in KEYS if record.get(one) is not None}
