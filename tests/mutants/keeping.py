"""The results of a run that is stopped and goes on: a line each, for the commit they are of."""

import json
from collections.abc import Sequence
from pathlib import Path

import attrs
from catalogue import Mutant
from killing import Killed


@attrs.frozen
class Kept:
    """A file of results. Those of another commit do not count."""

    path: Path
    commit: str

    def of(self, mutants: Sequence[Mutant]) -> list[Killed]:
        """What is known of these. A killer that was broken is tried again."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").split("\n")
        whole = [json.loads(line) for line in lines if line.endswith("}")]
        known = {one["id"]: one for one in whole if one["commit"] == self.commit}
        return [
            Killed(mutant=mutant, by=known[mutant.id]["by"], seconds=known[mutant.id]["seconds"])
            for mutant in mutants
            if mutant.id in known
        ]

    def add(self, one: Killed) -> None:
        """Keep a result at once; the line that a kill cuts off is not read."""
        if one.broken:
            return
        told = {"commit": self.commit, "id": one.mutant.id, "by": one.by, "seconds": one.seconds}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = not self.path.exists() or self.path.read_bytes()[-1:] in (b"", b"\n")
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("" if whole else "\n") + json.dumps(told) + "\n")
