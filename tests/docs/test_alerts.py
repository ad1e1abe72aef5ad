"""The page about alerts, walked as its reader would: a receiver, a pod, a failure, an alert."""

import contextlib

import pytest
from pages import ROOT, blocks_of
from walk import Walk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

FIRST = ROOT / "docs/examples/first-schedule"


def test_the_alert_of_the_page_arrives_once_signed(tmp_path):
    for name in ("jobs.py", "tasks.yaml"):
        (tmp_path / name).write_text((FIRST / name).read_text())
    with contextlib.ExitStack() as stack:
        walk = Walk(tmp_path, stack)
        for block in blocks_of(ROOT / "docs/alerts.md"):
            walk.take(block)
        receiver = walk.servers["receiver"]
        receiver.says(r"failed firing .*check failed: ValueError")
        walk.stop("pod-0")
        assert receiver.said().count("failed firing") == 1
