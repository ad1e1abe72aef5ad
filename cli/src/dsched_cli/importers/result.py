"""What an import brings: entries of a task file, and what could not be said in one."""

import re
from typing import Any

import attrs

_NOT_ID = re.compile(r"[^A-Za-z0-9_.:-]+")
MAX_ID = 120


@attrs.frozen
class Unsaid:
    """Something that a task file cannot express: where it was, what it is, what to do."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@attrs.define
class Imported:
    """Entries in the order of their source, with unique ids."""

    entries: list[dict[str, Any]] = attrs.field(factory=list)
    unsaid: list[Unsaid] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)
    left_out: int = 0

    def add(self, name: str, entry: dict[str, Any]) -> str:
        """Add an entry under an id made of ``name``; the id."""
        found = self.free_id(name)
        self.entries.append({"id": found, **entry})
        return found

    def free_id(self, name: str) -> str:
        """An id made of ``name`` that no entry has yet."""
        taken = {one["id"] for one in self.entries}
        base = id_of(name)
        found, number = base, 1
        while found in taken:
            number += 1
            found = f"{base}-{number}"
        return found

    def cannot(self, where: str, what: str) -> None:
        """Note what cannot be expressed of a job that is imported, or of the whole."""
        self.unsaid.append(Unsaid(where, what))

    def leave_out(self, where: str, what: str) -> None:
        """Note a job that is not imported, and why."""
        self.left_out += 1
        self.unsaid.append(Unsaid(where, f"{what}; left out"))


def id_of(name: str) -> str:
    """A name as an id: what an id cannot have becomes a hyphen."""
    found = _NOT_ID.sub("-", name).strip("-.:_")[:MAX_ID]
    return found or "task"
