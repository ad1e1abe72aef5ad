"""The first schedule, walked as its reader would: every command, in order, in an empty folder."""

import contextlib
import itertools
import json
from datetime import datetime

import pytest
from pages import ROOT, blocks_of
from walk import Walk

from dsched_testkit.servers import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PAGE = ROOT / "docs/first-schedule.md"


def test_every_command_of_the_first_schedule_does_what_the_page_says(tmp_path):
    install, *blocks = blocks_of(PAGE)
    assert install.text.splitlines()[0] == "make dev"  # what this test runs in
    with contextlib.ExitStack() as stack:
        walk = Walk(tmp_path, stack)
        for block in blocks:
            if "dsched task list --of report" in block.text:
                the_leader_has_written(walk, "report", "check", "heartbeat")
            if walk.pods and "dsched-run" in block.text:
                walk.stop("pod-0")
            walk.take(block)
        assert walk.last("dsched diff").code == 6
        said = {line: walk.last(line).out for line in ("dsched logs", "dsched why check")}
        assert "writing the report of yesterday" in said["dsched logs"]
        assert "the report has no pages" in said["dsched why check"]
        assert "no reports in August" in walk.last("dsched config get").out
        assert "07:30" in walk.last("dsched next report").out
        assert len(walk.last("dsched cluster terms").out.splitlines()) >= 3  # a head, two terms
        decided = walk.last("dsched config decisions heartbeat").out
        assert_every_beat_once(walk, decided)
        fires = [one.out for one in walk.said if one.line.startswith("dsched why heartbeat")]
        assert len(fires) == 2
        assert all("fired" in told for told in fires)
        walk.stop("pod-0")


def assert_every_beat_once(walk: Walk, shown: str) -> None:
    """Of what the list shows since it beats again, no beat is missing and none is there twice."""
    assert " LATE" in shown.splitlines()[0]
    told = json.loads(walk.ask("dsched config decisions heartbeat -o json"))
    # The newest come first; the first that is not 5 s from its neighbour is from before the edit.
    beats = [datetime.fromisoformat(one["first"]) for one in told]
    steps = [(late - early).total_seconds() for late, early in itertools.pairwise(beats)]
    again = list(itertools.takewhile(lambda step: step == 5, steps))
    assert again, told
    assert all(step >= 5 for step in steps), "none twice"
    assert max(one["late_ms"] for one in told[: len(again) + 1]) > 500, "one came while it was away"


def the_leader_has_written(walk: Walk, *configs: str) -> None:
    """Lists of ended tasks are written a moment after the fact; a reader is slower than that."""
    for config in configs:
        command = f"dsched task list --of {config} -o json"
        wait_until(lambda command=command: json.loads(walk.ask(command)), command, timeout_s=30)
