"""Tables of the docs that map stable numbers to the tests that cover them."""

import re
from pathlib import Path

import attrs
from pages import ROOT, text_of

ROW = re.compile(r"^\| ([FS]\d\d) \|(.*)\|$", re.MULTILINE)
TEST = re.compile(r"`([\w./-]+\.py)::(test_\w+)`")
EXCUSES = ("does not apply: ", "not yet: ", "Not yet: ")


@attrs.frozen
class Mapped:
    """One row: its number, what it says, the tests it names, whether it says why there are none."""

    id: str
    cells: tuple[str, ...]
    tests: tuple[tuple[str, str], ...]
    excused: bool


def rows_of(page: Path) -> list[Mapped]:
    """The rows of a page's map, in their order."""
    found = []
    for number, rest in ROW.findall(text_of(page)):
        cells = tuple(cell.strip() for cell in rest.split("|"))
        excused = any(excuse in rest for excuse in EXCUSES)
        found.append(Mapped(number, cells, tuple(TEST.findall(cells[-1])), excused))
    return found


def problems_of(rows: list[Mapped], letter: str, last: int) -> list[str]:
    """What is wrong with a map: numbers missing, doubled or out of order, tests that are not."""
    wanted = [f"{letter}{number:02d}" for number in range(1, last + 1)]
    found = [] if [row.id for row in rows] == wanted else [f"the ids are not {wanted}"]
    for row in rows:
        if len(row.cells) != 3 or not all(row.cells[:2]):
            found.append(f"{row.id}: a row has a number, two cells of words, and tests")
        if not row.tests and not row.excused:
            found.append(f"{row.id} names no test, and does not say why")
        if row.cells[-1].count("::") != len(row.tests):
            found.append(f"{row.id}: `path::test_name` is how tests are named")
        found += [
            f"{row.id}: {file} has no {test}"
            for file, test in row.tests
            if not is_there(file, test)
        ]
    return found


def is_there(file: str, test: str) -> bool:
    """Whether a file of the repository defines a test of that name."""
    path = ROOT / file
    return path.is_file() and bool(
        re.search(rf"^\s*(?:async )?def {test}\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    )
