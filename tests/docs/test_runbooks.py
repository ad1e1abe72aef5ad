"""The commands of the runbooks work on a cluster that is well, and the facts named there exist."""

import contextlib
import re

import pytest
from pages import ROOT, blocks_of, prose_of, tables
from walk import Walk

from dsched_testkit.servers import wait_until

PAGE = ROOT / "docs/runbooks.md"
EXAMPLE = ROOT / "docs/examples/first-schedule"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_every_command_of_the_runbooks_works(tmp_path):
    for name in ("jobs.py", "tasks.yaml"):
        (tmp_path / name).write_text((EXAMPLE / name).read_text())
    with contextlib.ExitStack() as stack:
        walk = Walk(tmp_path, stack)
        for line in (
            "dsched --local token create root --scope admin --save root.token",
            "export DSCHED_TOKEN_FILE=root.token",
            "dsched-run --app jobs --tasks tasks.yaml",
        ):
            walk._run(line)
        wait_until(lambda: '"leader"' in walk.ask("dsched cluster get -o json"), "a leader", 30)
        wait_until(lambda: "success" in walk.ask("dsched task list --of heartbeat"), "a run", 30)
        walk.ask("dsched limit set tenant --max-running 2")
        for block in blocks_of(PAGE):
            walk.take(block)
        assert "scheduler" in walk.last("dsched cluster pods").out
        assert "heartbeat" in walk.ask("dsched config list")
        (pod,) = walk.pods
        assert "Traceback" not in walk.stop(pod)


def test_the_settings_that_are_named_exist():
    said = prose_of(PAGE)
    settings = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:task|schedule|worker|metrics|redis)\.[a-z_.]+)`", said))
    assert len(named) >= 5
    for name in named:
        assert f"| `{name}` |" in settings or f"| `{name}." in settings, name


def test_each_reason_of_a_store_that_takes_no_writes_has_a_line():
    readme = (ROOT / "plugins/metrics-prometheus/README.md").read_text(encoding="utf-8")
    (row,) = [one for one in readme.splitlines() if one.startswith("| `dsched_store_writable`")]
    reasons = re.findall(r"`(\w+)`", row.partition("the reason:")[2])
    assert [cells[0].strip("`") for cells in tables(PAGE, "### DschedStoreReadOnly")] == reasons
