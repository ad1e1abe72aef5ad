"""The reference pages are what the code says today."""

import sys

import pytest
from pages import ROOT

sys.path.insert(0, str(ROOT / "docs"))
import make_pages

sys.path.remove(str(ROOT / "docs"))


@pytest.mark.parametrize("name", make_pages.PAGES)
def test_a_reference_page_is_what_the_code_makes_of_it(name):
    page = ROOT / "docs" / name
    assert page.read_text(encoding="utf-8") == make_pages.PAGES[name](), "run `make docs-pages`"


def test_every_command_and_option_says_what_it_is_for():
    rows = [line for line in make_pages.commands_page().splitlines() if line.startswith("| `-")]
    assert rows
    assert [row for row in rows if row.endswith("|  |")] == []


def test_a_page_is_the_same_whether_python_strips_docstrings_or_not():
    """Python 3.13 does, earlier ones do not."""
    kept = "First line\n    and more.\n\n    Second paragraph\n    and more.\n    "
    stripped = "First line\nand more.\n\nSecond paragraph\nand more.\n"
    assert make_pages._paragraphs(kept) == make_pages._paragraphs(stripped)
