"""The pages that answer what is asked most: their commands say what the pages say."""

import contextlib

import pytest
from pages import ROOT, blocks_of
from walk import Walk

PAGES = sorted((ROOT / "docs/questions").glob("*.md"))
SAID = {
    "clock-changes": ("02:30 does not exist", "2027-10-31"),
    "exactly-once": ("charge",),
    "missed-runs": ("close-day",),
    "long-tasks": ("render",),
    "many-tenants": ("acme.report",),
    "deploys": (),
}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_the_page_does_what_it_says(page, tmp_path):
    with contextlib.ExitStack() as stack:
        walk = Walk(tmp_path, stack)
        for block in blocks_of(page):
            walk.take(block)
        said = "".join(one.out + one.err for one in walk.said)
        for words in SAID[page.stem]:
            assert words in said
        assert not (tmp_path / "dsched.db").exists()  # nothing was started


def test_each_question_has_a_page():
    assert {page.stem for page in PAGES} == set(SAID)
