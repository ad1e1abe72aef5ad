"""Lua by its tokens: a text is found whatever its line breaks, spaces and comments are."""

import re
from collections.abc import Iterator

import attrs
from shapes import ShapeError

_TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*)"""
    r"""|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[A-Za-z_]\w*|\d+(?:\.\d+)?|\.\.\.?|[=~<>]=|.""",
    re.DOTALL,
)
_FUNCTION = re.compile(r"^(?:local )?function ([\w.]+)\(.*?^end$", re.DOTALL | re.MULTILINE)


@attrs.frozen
class Token:
    """One word of a script, and where it stands."""

    text: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """The words of a text, without spaces and comments."""
    return [
        Token(found.group(), found.start(), found.end())
        for found in _TOKEN.finditer(text)
        if found["skip"] is None
    ]


def functions(text: str) -> Iterator[tuple[str, int, int]]:
    """Name, start and end of each function of a script's outermost level."""
    for found in _FUNCTION.finditer(text):
        yield found[1], found.start(), found.end()


def replace(text: str, what: str, by: str) -> str:
    """``text`` in which the one ``what`` is ``by``."""
    words, looked_for = tokens(text), [one.text for one in tokens(what)]
    plain, size = [one.text for one in words], len(looked_for)
    starts = [at for at in range(len(words) - size + 1) if plain[at : at + size] == looked_for]
    if len(starts) != 1:
        raise ShapeError(f"{what!r} is found {len(starts)} times in")
    (at,) = starts
    return f"{text[: words[at].start]}{by}{text[words[at + size - 1].end :]}"
