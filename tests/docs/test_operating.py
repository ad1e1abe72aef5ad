"""The page of operators: its commands against three pods, its tables against the code."""

import contextlib
import re

import pytest
from pages import ROOT, blocks_below, blocks_of, tables, text_of
from walk import Walk

from dsched_api_http.scopes import Scope
from dsched_testkit.servers import wait_until

PAGE = ROOT / "docs/operating.md"
EXAMPLE = ROOT / "docs/examples/first-schedule"
# These stop every pod: tests/docs/test_restoring.py.
APART = (
    "### With dsched, for every store",
    "### Restore of SQLite",
    "### Backup of Redis",
    "### Restore of Redis",
)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_every_command_of_the_operators_page_does_what_the_page_says(tmp_path):
    for name in ("jobs.py", "tasks.yaml"):
        (tmp_path / name).write_text((EXAMPLE / name).read_text())
    with contextlib.ExitStack() as stack:
        walk = Walk(tmp_path, stack)
        apart = [one for heading in APART for one in blocks_below(PAGE, heading)]
        for block in blocks_of(PAGE):
            if block in apart:
                continue
            if "dsched status" in block.text:
                wait_until(lambda: '"leader"' in walk.ask("dsched cluster get -o json"), "a leader")
            walk.take(block)
        assert "token.delete" in walk.last("dsched audit").out
        assert "skipped" in walk.last("dsched next report").out
        assert "public holidays" in walk.last("dsched why report --at").out
        assert "dsched_is_leader" in walk.last("curl -sf http://127.0.0.1:9464").out
        assert "writing the report of by hand" in walk.last("dsched logs by-hand").out
        assert "draining" in walk.last("dsched worker get").out
        assert len(walk.last("dsched cluster terms").out.splitlines()) >= 3  # a head, two terms
        assert "id: report" in (tmp_path / "configs.yaml").read_text()
        the_update_rolls(walk)


def the_update_rolls(walk: Walk) -> None:
    """One pod after the other, as the page says, ends cleanly and while the others go on."""
    for name in "abc":
        said = walk.stop(name)
        assert "has stopped" in said
        assert "Traceback" not in said


def test_the_scopes_of_the_page_are_those_of_the_api():
    found = [row[0].strip("`") for row in tables(PAGE, "## Tokens: who may do what")]
    assert found == [scope.value for scope in Scope]


def test_every_command_in_a_table_is_one_of_the_command():
    reference = text_of(ROOT / "docs/commands.md")
    for row in tables(PAGE, "## When something looks wrong"):
        for command in re.findall(r"`(dsched [a-z-]+)", " ".join(row)):
            assert f"## {command}" in reference, command
