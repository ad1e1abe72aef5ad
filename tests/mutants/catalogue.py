"""The catalogue of mutants: what each changes, which guard that removes, what must notice."""

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
from edits import Edit, EditError, edit_of, edited, place_of
from places import Sources

ROOT = Path(__file__).parents[2]
CATALOGUE = Path(__file__).parent / "catalogue"
BASES = {  # where the names of each family are looked up
    "engine": "core/src",
    "memory": "plugins/testkit/src",
    "sqlite": "plugins/store-sqlite/src",
    "redis": "plugins/store-redis/src",
}
FAMILIES = tuple(BASES)
_OF_A_MUTANT = {"guard", "killers"}
_OF_A_FAMILY = {"guard", "killers", "equivalent"}


class CatalogueError(Exception):
    """The catalogue says something that cannot be meant."""


@attrs.frozen(kw_only=True)
class Mutant:
    """One broken guard, or a pair of guards that hide each other. ``equivalent``: why nothing can
    notice it, for those that are kept to say so. ``source``: its file in the catalogue."""

    id: str
    family: str
    guard: str
    edits: tuple[Edit, ...]
    killers: tuple[str, ...]
    pair: bool = False
    equivalent: str = ""
    source: str = ""


def read_catalogue(folder: Path = CATALOGUE) -> list[Mutant]:
    """All mutants, in their families' order: the single ones of a family, then its pairs."""
    tables = [
        (path.name, name, table)
        for path in sorted(folder.glob("*.toml"))
        for name, table in tomllib.loads(path.read_text()).items()
    ]
    singles: dict[str, Mutant] = {}
    for source, name, table in tables:
        for mutant in [] if name == "pair" else _mutants(source, name, table):
            if mutant.id in singles:
                raise CatalogueError(f"{mutant.id} is in {singles[mutant.id].source} and {source}")
            singles[mutant.id] = mutant
    pairs = [
        pair
        for source, name, given in tables
        if name == "pair"
        for table in given
        for pair in _pairs(source, table, singles)
    ]
    found = [*singles.values(), *pairs]
    return sorted(found, key=lambda one: (FAMILIES.index(one.family), one.pair))


def _mutants(source: str, name: str, table: dict[str, Any]) -> Iterator[Mutant]:
    """The mutants of one guard, one in each family that its table names."""
    families = set(table) - _OF_A_MUTANT
    if unknown := families - set(FAMILIES):
        raise CatalogueError(f"{source}: {name} has unknown keys {sorted(unknown)}")
    if not families:
        raise CatalogueError(f"{source}: {name} changes nothing: name one of {FAMILIES}")
    for family in FAMILIES:
        if family not in table:
            continue
        own = table[family]
        said = {**table, **{key: own[key] for key in _OF_A_FAMILY & set(own)}}
        change = {key: value for key, value in own.items() if key not in _OF_A_FAMILY}
        try:
            edit = edit_of(BASES[family], change)
        except EditError as error:
            raise CatalogueError(f"{source}: {family}-{name}: {error}") from error
        yield Mutant(
            id=f"{family}-{name}",
            family=family,
            guard=said["guard"],
            edits=(edit,),
            killers=tuple(said["killers"]),
            equivalent=said.get("equivalent", ""),
            source=source,
        )


def _pairs(source: str, table: dict[str, Any], singles: dict[str, Mutant]) -> Iterator[Mutant]:
    """The same two guards gone together, in each family named; killed by what kills either, unless
    its family says what kills both."""
    for family in FAMILIES:
        if family not in table:
            continue
        ids = [f"{family}-{name}" for name in table["of"]]
        if unknown := [one for one in ids if one not in singles]:
            raise CatalogueError(f"{source}: a pair is of {', '.join(unknown)}, which is not there")
        both = [singles[one] for one in ids]
        killers = table[family] or dict.fromkeys(k for one in both for k in one.killers)
        yield Mutant(
            id="+".join([both[0].id, *table["of"][1:]]),
            family=family,
            guard=" and ".join(one.guard for one in both),
            edits=tuple(edit for one in both for edit in one.edits),
            killers=tuple(killers),
            pair=True,
            source=source,
        )


def mutated(mutant: Mutant, sources: Sources) -> dict[Path, str]:
    """The files of a mutant with their new texts; `CatalogueError` where it does not apply."""
    texts: dict[Path, str] = {}
    for edit in mutant.edits:
        try:
            place = place_of(edit, sources)
            text = texts.get(place.path) or sources.texts(edit.base)[place.path]
            texts[place.path] = edited(edit, text, place)
        except EditError as error:
            raise CatalogueError(f"{mutant.source}: {mutant.id}: {error}") from error
    return texts


def files_of(mutant: Mutant, sources: Sources) -> set[str]:
    """The files that it changes, as paths below the root."""
    try:
        paths = {place_of(edit, sources).path for edit in mutant.edits}
    except EditError as error:
        raise CatalogueError(f"{mutant.source}: {mutant.id}: {error}") from error
    return {path.relative_to(sources.root).as_posix() for path in paths}


def chosen(
    mutants: Iterable[Mutant],
    *,
    only: Sequence[str] | None = None,
    families: Sequence[str] | None = None,
    files: set[str] | None = None,
    sources: Sources | None = None,
) -> list[Mutant]:
    """Those asked for: by id, by family, by a changed file (of the ``sources``)."""
    sources = sources or Sources(ROOT)
    return [
        mutant
        for mutant in mutants
        if (not only or mutant.id in only)
        and (not families or mutant.family in families)
        and (files is None or files_of(mutant, sources) & files)
    ]
