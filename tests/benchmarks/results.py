"""What a run has found, and a file to keep it in, so that a page can be made of several runs."""

import json
from collections.abc import Mapping
from pathlib import Path

import attrs


@attrs.define
class Results:
    """Every figure of every round, by name and system, in the order of their first appearance.

    ``alone``: figures that no other system is asked for. ``commands``: what was run, and when;
    ``made_by``: which of them each figure of each system comes from.
    """

    absent: dict[str, str] = attrs.field(factory=dict)
    values: dict[str, dict[str, list[float]]] = attrs.field(factory=dict)
    errors: dict[str, list[str]] = attrs.field(factory=dict)
    alone: list[str] = attrs.field(factory=list)
    commands: list[str] = attrs.field(factory=list)
    made_by: dict[str, dict[str, str]] = attrs.field(factory=dict)
    _anew: set[tuple[str, str]] = attrs.field(factory=set, repr=False)

    def add(
        self, system: str, figures: Mapping[str, float], error: str, *, alone: bool = False
    ) -> None:
        """Keep the figures of one measurement, or why there are none.

        A figure that this run measures for the first time replaces what a kept run has found.
        """
        for name, value in figures.items():
            if (system, name) not in self._anew:
                self._anew.add((system, name))
                self.values.setdefault(name, {})[system] = []
            self.values[name][system].append(value)
            if alone and name not in self.alone:
                self.alone.append(name)
        if error:
            self.errors.setdefault(system, []).append(error)

    def ran(self, stamped: str) -> None:
        """Take down the command of this run. An earlier one whose figures have all been measured
        anew has nothing left to show, and is forgotten."""
        for system, name in self._anew:
            self.made_by.setdefault(name, {})[system] = stamped
        still = {command for by_system in self.made_by.values() for command in by_system.values()}
        self.commands = [one for one in dict.fromkeys((*self.commands, stamped)) if one in still]

    def forget_errors(self, measures: list[str], systems: list[str]) -> None:
        """What went wrong in a kept run says nothing once these are measured anew."""
        for system in systems:
            kept = [e for e in self.errors.get(system, []) if e.partition(":")[0] not in measures]
            self.errors[system] = kept
            self.absent.pop(system, None)

    def save(self, path: Path) -> None:
        """Write everything to a file of JSON."""
        kept = attrs.asdict(self, filter=lambda field, _: not field.name.startswith("_"))
        path.write_text(json.dumps(kept, indent=1), encoding="utf-8")


def load(path: Path | None) -> Results:
    """What a file keeps, or nothing yet."""
    if path is None or not path.exists():
        return Results()
    return Results(**json.loads(path.read_text(encoding="utf-8")))
