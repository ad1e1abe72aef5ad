"""The catalogue of mutants: what each changes, which guard that removes, what must notice."""

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[2]
CATALOGUE = Path(__file__).parent / "catalogue"
FAMILIES = ("engine", "memory", "sqlite", "redis")


class CatalogueError(Exception):
    """The catalogue says something that cannot be meant."""


@attrs.frozen(kw_only=True)
class Edit:
    """One exact text of one file, which must occur once in it, and what replaces it."""

    file: str
    text: str
    by: str


@attrs.frozen(kw_only=True)
class Mutant:
    """One broken guard, or a pair of guards that hide each other. ``equivalent``: why nothing can
    notice it, for those that are kept to say so."""

    id: str
    family: str
    guard: str
    edits: tuple[Edit, ...]
    killers: tuple[str, ...]
    pair: bool = False
    equivalent: str = ""

    @property
    def files(self) -> set[str]:
        """The files it changes."""
        return {edit.file for edit in self.edits}


def read_catalogue() -> list[Mutant]:
    """All mutants, in their families' order."""
    mutants: list[Mutant] = []
    for family in FAMILIES:
        data = tomllib.loads((CATALOGUE / f"{family}.toml").read_text())
        singles = [_single(family, data["base"], table) for table in data["mutant"]]
        mutants += singles
        by_id = {mutant.id: mutant for mutant in singles}
        mutants += [_pair(family, table, by_id) for table in data.get("pair", [])]
    ids = [mutant.id for mutant in mutants]
    if len(set(ids)) < len(ids):
        raise CatalogueError(f"ids twice: {sorted({i for i in ids if ids.count(i) > 1})}")
    return mutants


def _single(family: str, base: str, table: dict[str, str]) -> Mutant:
    unknown = set(table) - {"id", "file", "guard", "text", "by", "killers", "equivalent"}
    if unknown:
        raise CatalogueError(f"{table['id']}: unknown keys {sorted(unknown)}")
    # Texts of several lines begin and end on lines of their own in the catalogue.
    edit = Edit(file=f"{base}{table['file']}", text=_text(table["text"]), by=_text(table["by"]))
    return Mutant(
        id=f"{family}-{table['id']}",
        family=family,
        guard=table["guard"],
        edits=(edit,),
        killers=tuple(table["killers"]),
        equivalent=table.get("equivalent", ""),
    )


def _text(given: str) -> str:
    return given.removesuffix("\n")


def _pair(family: str, table: dict[str, Sequence[str]], singles: dict[str, Mutant]) -> Mutant:
    both = [singles[f"{family}-{name}"] for name in table["of"]]
    killers = table.get("killers") or dict.fromkeys(k for one in both for k in one.killers)
    return Mutant(
        id="+".join([both[0].id, *table["of"][1:]]),
        family=family,
        guard=" and ".join(one.guard for one in both),
        edits=tuple(edit for one in both for edit in one.edits),
        killers=tuple(killers),
        pair=True,
    )


def mutated(mutant: Mutant, root: Path) -> dict[Path, str]:
    """The files of a mutant with their new texts; `CatalogueError` where it does not apply."""
    texts: dict[Path, str] = {}
    for edit in mutant.edits:
        path = root / edit.file
        if not path.is_file():
            raise CatalogueError(f"{mutant.id}: there is no {edit.file}")
        text = texts.get(path) or path.read_text()
        found = text.count(edit.text)
        if found != 1 or edit.text == edit.by:
            raise CatalogueError(f"{mutant.id}: its text occurs {found} times in {edit.file}")
        texts[path] = text.replace(edit.text, edit.by)
    return texts


def chosen(
    mutants: Iterable[Mutant],
    *,
    only: Sequence[str] | None = None,
    families: Sequence[str] | None = None,
    files: set[str] | None = None,
) -> list[Mutant]:
    """Those asked for: by id, by family, by a changed file."""
    return [
        mutant
        for mutant in mutants
        if (not only or mutant.id in only)
        and (not families or mutant.family in families)
        and (files is None or mutant.files & files)
    ]
