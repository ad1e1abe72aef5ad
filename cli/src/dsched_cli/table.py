"""Aligned columns of text: no frames, one record a line, cut only where a terminal would wrap."""

import unicodedata
from collections.abc import Sequence

_GAP = "  "


def width_of(text: str) -> int:
    """How many cells of a terminal a cleaned text takes."""
    if text.isascii():
        return len(text)
    return sum(_cells(char) for char in text)


def _cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def cut(text: str, cells: int) -> str:
    """A text in at most so many cells, with an ellipsis where something is left out."""
    if width_of(text) <= cells:
        return text
    kept, used = "", 0
    for char in text:
        if used + _cells(char) > cells - 1:
            break
        kept, used = kept + char, used + _cells(char)
    return kept + "…" if cells > 0 else ""


def layout(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[bool],
    max_cells: int | None,
) -> list[list[str]]:
    """The padded cells of the head line and each row; the widest column gives way first."""
    table = [list(titles), *[list(row) for row in rows]]
    widths = [max(width_of(row[at]) for row in table) for at in range(len(titles))]
    if max_cells is not None:
        spare = sum(widths) + len(_GAP) * (len(widths) - 1) - max_cells
        while spare > 0 and max(widths) > 12:
            at = widths.index(max(widths))
            widths[at] -= 1
            spare -= 1
    return [_padded(row, widths, right) for row in table]


def _padded(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    cells = []
    last = len(row) - 1
    for at, (text, width) in enumerate(zip(row, widths, strict=True)):
        shown = cut(text, width)
        space = " " * (width - width_of(shown))
        if right[at]:
            cells.append(space + shown)
        else:
            cells.append(shown if at == last else shown + space)
    return cells


def join(cells: Sequence[str]) -> str:
    """One line of padded cells."""
    return _GAP.join(cells).rstrip()


def bar(value: float, most: float, cells: int) -> str:
    """A horizontal bar in eighths of a cell."""
    if most <= 0 or value <= 0:
        return ""
    eighths = max(1, round(value / most * cells * 8))
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]
