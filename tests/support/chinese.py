"""What the tests of the Chinese pages compare: pages, their sections, and the parts of these."""

import hashlib
import os.path
import re
from functools import cache
from pathlib import Path

import attrs
from pages import ROOT, Block, blocks_of, headings, text_of

ENGLISH = ROOT / "docs"
CHINESE = ENGLISH / "zh"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
MARK = re.compile(r"^<!-- en: ([0-9a-f]{8}) -->\n", re.MULTILINE)
# The line below the title, which leads to the page in the other language.
OTHER = re.compile(r"^\[(?:English|中文)\]\(\S+\)\n\n", re.MULTILINE)
_CUT = re.compile(r"(^```\w+\n.*?^```$)|^(?=#{1,6} )", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_COMMENT = re.compile(r"(?:^| +)# .*$", re.MULTILINE)
_LABEL = re.compile(r": .*$", re.MULTILINE)
_BESIDE = re.compile(r"(?<=\S) {2,}\S.*$", re.MULTILINE)


@attrs.frozen
class Section:
    """A heading and what stands below it, up to the next heading of whatever level."""

    page: Path
    level: int
    heading: str
    body: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}, {'#' * self.level} {self.heading}"

    @property
    def digest(self) -> str:
        """Stands for the words; how they are broken into lines does not matter."""
        words = " ".join(f"{'#' * self.level} {self.heading} {self.body}".split())
        return hashlib.sha256(words.encode()).hexdigest()[:8]

    @property
    def mark(self) -> str | None:
        """The digest of the English section that a Chinese one was written from."""
        found = MARK.search(self.body)
        return found[1] if found else None

    @property
    def prose(self) -> str:
        """The body without its blocks."""
        return _CUT.sub("", self.body)

    @property
    def code(self) -> set[str]:
        """What is set in code type within the sentences."""
        return set(_CODE.findall(" ".join(self.prose.split())))

    @property
    def links(self) -> list[str]:
        """Where its links lead, sorted, since another language may order a sentence otherwise."""
        return sorted(LINK.findall(self.prose))

    @property
    def rows(self) -> list[list[str]]:
        """The rows of its tables, heads and rules as well, each as its cells."""
        rows = [line for line in self.prose.splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in rows]

    @property
    def items(self) -> int:
        """How many points its lists have."""
        return len(re.findall(r"^ *(?:-|\d+\.) ", self.prose, re.MULTILINE))


def is_code(cell: str) -> bool:
    """Whether a cell of a table is code and nothing else."""
    return _CODE.fullmatch(cell) is not None


@cache
def sections(page: Path) -> tuple[Section, ...]:
    """The sections of a page, without the line that leads to its other language."""
    parts, begin = [], 0
    text = OTHER.sub("", text_of(page), count=1)
    for found in _CUT.finditer(text):
        if found[1] is None and found.start() > begin:
            parts.append(text[begin : found.start()])
            begin = found.start()
    parts.append(text[begin:])
    return tuple(_section(page, part) for part in parts)


def _section(page: Path, text: str) -> Section:
    first, _, body = text.partition("\n")
    level, _, heading = first.partition(" ")
    assert set(level) == {"#"}, f"{page} begins with {first!r}, not with a heading"
    return Section(page, len(level), heading, body)


def executed(block: Block) -> str:
    """A block without what may be Chinese: its comments, and the labels of a picture."""
    if block.language == "mermaid":
        return _LABEL.sub("", block.text)
    if block.language == "text":
        return _BESIDE.sub("", _COMMENT.sub("", block.text))
    if block.file:
        return block.text
    return _COMMENT.sub("", block.text)


def translated() -> tuple[Path, ...]:
    """The Chinese pages that have an English source."""
    return tuple(page for page in sorted(CHINESE.glob("*.md")) if page.name != "index.md")


def source_of(page: Path) -> Path:
    """The English page that a Chinese one says in Chinese."""
    return ENGLISH / page.relative_to(CHINESE)


def chinese_of(page: Path) -> Path | None:
    """The Chinese page of a page, if there is one."""
    if page == ROOT / "README.md":
        return ROOT / "README.zh-CN.md"
    found = CHINESE / page.relative_to(ENGLISH) if page.is_relative_to(ENGLISH) else page
    return found if found != page and found.exists() else None


def anchor(heading: str) -> str:
    """What a link to a heading names."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def place(english: str, *, of: Path, seen_from: Path) -> str:
    """A link of an English page as the Chinese page `seen_from` has it: to a Chinese page and
    heading where there are such."""
    path, _, named = english.partition("#")
    if "://" in english:
        return english
    meant = (of.parent / path).resolve() if path else of
    page = chinese_of(meant)
    if page is not None and named:
        number = [anchor(one) for one in headings(meant)].index(named)
        named = anchor(headings(page)[number])
    told = "" if not path else relative(page or meant, seen_from.parent)
    return f"{told}#{named}" if named else told


def relative(page: Path, folder: Path) -> str:
    """A path as a link in a folder writes it."""
    return Path(os.path.relpath(page, folder)).as_posix()


def code_blocks(page: Path) -> list[tuple[str, str | None, str]]:
    """The blocks of a page as far as they have to be the same in every language."""
    return [(block.language, block.file, executed(block)) for block in blocks_of(page)]
