"""The page about the fleet, walked as its reader would, against a pod."""

import contextlib
import json

import pytest
from pages import ROOT, blocks_of, tables
from walk import Walk

from dsched_cli.columns import WORKER
from dsched_testkit.servers import wait_until

PAGE = ROOT / "docs/fleet.md"
EXAMPLE = ROOT / "docs/examples/first-schedule"


def _w1(walk: Walk) -> dict[str, object]:
    found: dict[str, object] = json.loads(walk.ask("dsched worker get w1 -o json") or "{}")
    return found


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_commands_of_the_page_do_what_it_says(tmp_path):
    for name in ("jobs.py", "tasks.yaml"):
        (tmp_path / name).write_text((EXAMPLE / name).read_text())
    with contextlib.ExitStack() as stack:
        walk = Walk(tmp_path, stack)
        who, drained, given, resized, demand = (
            one for one in blocks_of(PAGE) if one.language == "sh"
        )
        *begun, listed = who.text.splitlines()
        for line in begun:
            walk._run(line)
        wait_until(lambda: _w1(walk).get("status"), "the worker is registered", 30)
        own = _w1(walk)["own_capacity"]
        walk._run(listed)
        walk.take(drained)
        assert "draining" in walk.last("dsched worker get").out
        assert not _w1(walk)["draining"]
        given_back, _ = walk.take(given)
        assert "draining" in given_back.out
        assert not _w1(walk)["draining"]
        made, shown, refused, cleared = walk.take(resized)
        assert "w1" in made.out
        row = next(line.split() for line in shown.out.splitlines() if line.startswith("w1"))
        assert {"20", str(own)} <= set(row)
        assert "1 to 10000" in refused.err
        assert cleared.code == 0
        assert (_w1(walk)["capacity"], _w1(walk)["resized_to"]) == (own, None)
        (told,) = walk.take(demand)
        answer = json.loads(told.out)["demand"]
        assert {"slots", "waiting", "capacity", "wanted_workers"} <= answer.keys()
        assert answer["capacity"] == own
        (pod,) = walk.pods
        assert "Traceback" not in walk.stop(pod)


def test_the_columns_of_the_page_are_those_of_the_command():
    rows = tables(PAGE, "## Who works")
    named = {title for row in rows for title in row[0].replace("`", "").split(", ")}
    assert named == {one.title for one in WORKER if not one.wide} - {"ID", "LAST HEARTBEAT"}
