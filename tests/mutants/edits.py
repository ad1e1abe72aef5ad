"""One change of a mutant: in which place, what is found there, and what becomes of it."""

import attrs
import shapes
import tokens
from places import Place, PlaceError, Sources, places, rewritten
from shapes import ShapeError


class EditError(Exception):
    """A change cannot be made, or cannot be meant; says where, and what to do."""


@attrs.frozen(kw_only=True)
class Edit:
    """``place`` is a name below ``base``. ``verb`` is what happens to ``shape``:

    ``drop`` (it goes), ``never`` and ``always`` (it is False, or True), ``find`` (it becomes
    ``by``), ``text`` (a part of a string, such as SQL, becomes ``by``).
    """

    base: str
    place: str
    verb: str
    shape: str
    by: str = ""


VERBS = ("drop", "never", "always", "find", "text")


def edit_of(base: str, table: dict[str, str]) -> Edit:
    """An edit as the catalogue has it: ``{ in = "Claimer.stop", drop = "self.disarm()" }``."""
    verbs = [verb for verb in VERBS if verb in table]
    if len(verbs) != 1 or "in" not in table:
        raise EditError(f"{table} needs 'in' and one of {', '.join(VERBS)}")
    (verb,) = verbs
    if ("by" in table) != (verb in {"find", "text"}):
        raise EditError(f"{table}: 'by' belongs to 'find' and 'text', and to nothing else")
    if unknown := set(table) - {"in", verb, "by"}:
        raise EditError(f"{table} has unknown keys: {', '.join(sorted(unknown))}")
    return Edit(base=base, place=table["in"], verb=verb, shape=table[verb], by=table.get("by", ""))


def place_of(edit: Edit, sources: Sources) -> Place:
    """Where an edit is to be made."""
    try:
        return sources.find(edit.base, edit.place)
    except PlaceError as error:
        raise EditError(str(error)) from error


def edited(edit: Edit, text: str, place: Place) -> str:
    """The text of the place's file after the edit; ``text`` may have been edited before."""
    (place,) = places(place.path, text, edit.place)
    try:
        after = _lua(edit, text, place) if place.node is None else _python(edit, text, place)
    except ShapeError as error:
        raise EditError(
            f"{error} {edit.place} ({place.path.name}, line {place.line}), where it has to "
            "be found once. Where the guard reads otherwise now, give the mutant its new "
            "shape; where the shape stands there several times, add what stands beside it; "
            "where the guard is gone, remove the mutant"
        ) from error
    if after == text:
        raise EditError(f"{edit.shape!r} in {edit.place} is what it was before: change it")
    return after


def _python(edit: Edit, text: str, place: Place) -> str:
    assert place.node is not None
    if edit.verb == "find" and shapes.alike(edit.shape, edit.by):
        return text
    match edit.verb:
        case "drop":
            node = shapes.drop(place.node, edit.shape)
        case "never" | "always":
            node = shapes.replace(place.node, edit.shape, str(edit.verb == "always"))
        case "text":
            node = shapes.replace_text(place.node, edit.shape, edit.by)
        case _:
            node = shapes.replace(place.node, edit.shape, edit.by)
    return rewritten(text, place, node)


def _lua(edit: Edit, text: str, place: Place) -> str:
    by = {"drop": "", "never": "false", "always": "true"}.get(edit.verb, edit.by)
    piece = text[place.start : place.end]
    return text[: place.start] + tokens.replace(piece, edit.shape, by) + text[place.end :]
