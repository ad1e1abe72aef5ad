"""What the docs tests look at: the pages that people read, and the code blocks in them."""

import re
from functools import cache
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(
    r"(?:^<!-- file: (?P<file>\S+) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_HEADING = re.compile(r"^#{1,6} (.*)$", re.MULTILINE)


@attrs.frozen
class Block:
    """A fenced block: where it is, its language, its text, and the file it must equal, if any."""

    page: Path
    number: int
    language: str
    text: str
    file: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}#{self.number}"


@cache
def pages() -> tuple[Path, ...]:
    """README, docs and the pages beside them."""
    tops = ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md", "core/README.md")
    return (*(ROOT / name for name in tops), *sorted((ROOT / "docs").rglob("*.md")))


@cache
def text_of(page: Path) -> str:
    """A page's text."""
    return page.read_text(encoding="utf-8")


@cache
def blocks(*languages: str) -> tuple[Block, ...]:
    """The blocks of all pages in these languages (all, if none is named).

    Those of the Chinese pages are those of the English ones: test_chinese_pages.py.
    """
    return tuple(
        block
        for page in pages()
        if page.parent != ROOT / "docs/zh"
        for block in blocks_of(page)
        if not languages or block.language in languages
    )


@cache
def blocks_of(page: Path) -> tuple[Block, ...]:
    """The blocks of a page in their order, numbered from 1."""
    return tuple(
        Block(page, number, found["language"], found["text"], found["file"])
        for number, found in enumerate(_FENCE.finditer(text_of(page)), 1)
    )


def blocks_below(page: Path, heading: str) -> tuple[Block, ...]:
    """The blocks below a heading, up to the next one."""
    begin = text_of(page).index(f"\n{heading}\n")
    end = text_of(page).find("\n#", begin + len(heading) + 1)
    section = text_of(page)[begin : end if end > 0 else None]
    return tuple(one for one in blocks_of(page) if one.text in section)


def prose_of(page: Path) -> str:
    """A page without its blocks."""
    return _FENCE.sub("", text_of(page))


def headings(page: Path) -> list[str]:
    """The headings of a page, in their order."""
    return _HEADING.findall(prose_of(page))


def anchors(page: Path) -> set[str]:
    """What a link into the page may name, formed as the common code hosts form it."""
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings(page)]
    return {heading.replace(" ", "-") for heading in plain}


def tables(page: Path, heading: str) -> list[list[str]]:
    """The rows of the tables below a heading, up to the next one; without head and rule."""
    _, found, rest = prose_of(page).partition(f"\n{heading}\n")
    assert found, f"{page.name} has no heading {heading!r}"
    section = re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return [row for row in cells[2:] if row[0]]
