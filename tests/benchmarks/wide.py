"""Wide tables: figures whose names are `table; row; column` stand together, one row a step."""

import statistics
from collections.abc import Mapping, Sequence

CELL = "; "


def number(value: float) -> str:
    """Three figures that mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def cell(values: Sequence[float]) -> str:
    """The median, and the least and the most where they differ from it."""
    middle = number(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({number(min(values))} to {number(max(values))})"


def name(table: str, row: str, column: str) -> str:
    """The name of a figure that belongs into a wide table."""
    return CELL.join((table, row, column))


def is_cell(figure: str) -> bool:
    """Whether a figure belongs into a wide table."""
    return figure.count(CELL) == 2


def tables(
    values: Mapping[str, Mapping[str, Sequence[float]]], notes: Mapping[str, str]
) -> list[str]:
    """All wide tables as lines of Markdown, in the order of their first figures.

    ``notes``: what is said above a table, by a part of its heading.
    """
    found: dict[str, dict[str, dict[str, str]]] = {}
    for figure, by_system in values.items():
        if is_cell(figure):
            table, row, column = figure.split(CELL)
            for values_of in by_system.values():
                found.setdefault(table, {}).setdefault(row, {})[column] = cell(values_of)
    lines = []
    for table, rows in found.items():
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        said = [f"{note}\n" for part, note in notes.items() if part in table]
        lines += ["", f"### {table}", "", *said, f"| | {' | '.join(columns)} |"]
        lines += ["|---" * (len(columns) + 1) + "|"]
        for row, cells in rows.items():
            lines.append(f"| {row} | {' | '.join(cells.get(c, '') for c in columns)} |")
    return lines
