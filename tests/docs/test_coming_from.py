"""The pages of those who come from elsewhere: their files are brought over as they say."""

import contextlib
import re

import pytest
import yaml
from pages import ROOT, blocks_of, prose_of, text_of
from walk import Walk

PAGES = sorted((ROOT / "docs").glob("coming-from-*.md"))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_schedules_of_the_page_are_brought_over(page, tmp_path):
    with contextlib.ExitStack() as stack:
        walk = Walk(tmp_path, stack)
        for block in blocks_of(page):
            walk.take(block)
        (made,) = tmp_path.glob("*.yaml")
        tasks = yaml.safe_load(made.read_text())["tasks"]
        assert "report" in {one["id"] for one in tasks}
        (report,) = (one for one in tasks if one["id"] == "report")
        assert (report["cron_expr"], report["timezone"]) == ("30 2 * * *", "Europe/Berlin")
        assert "report" in walk.last("dsched simulate").out
        assert not (tmp_path / "dsched.db").exists()  # nothing was started


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_names_as_ours_exists(page):
    known = text_of(ROOT / "docs/usage.md") + text_of(ROOT / "docs/configuration.md")
    rows = [row for row in prose_of(page).splitlines() if row.startswith("| ")][1:]
    assert len(rows) >= 7
    for row in rows:
        ours = row.strip("|").split("|")[-1]
        for name in re.findall(r"`([a-z_]+)`", ours):
            assert name in known, f"{page.name}: {name}"


def test_every_peer_of_the_comparison_has_a_row_and_each_origin_a_page():
    page = ROOT / "docs/comparison.md"
    names = re.findall(r"^\| (?:\*\*)?([\w. -]+?)(?:\*\*)? \| ", text_of(page), re.MULTILINE)
    assert len(names) == 10, names
    assert len(PAGES) == 4
    for one in PAGES:
        assert f"({one.name})" in text_of(page)
