"""The first schedule, walked as its reader would: every command, in order, in an empty folder."""

import contextlib
import json
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from pages import ROOT, blocks_of
from walk import Walk

from dsched_testkit.servers import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PAGE = ROOT / "docs/first-schedule.md"
BEAT = timedelta(seconds=5)


@attrs.frozen
class Beat:
    """One instant of `heartbeat`, and what was decided about it."""

    instant: datetime
    verdict: str
    reason: str
    late_ms: int


def test_every_command_of_the_first_schedule_does_what_the_page_says(tmp_path):
    install, *blocks = blocks_of(PAGE)
    assert install.text.splitlines()[0] == "make dev"  # what this test runs in
    edited = left = back = datetime.min.replace(tzinfo=UTC)
    with contextlib.ExitStack() as stack:
        walk = Walk(tmp_path, stack)
        for block in blocks:
            if "dsched task list --of report" in block.text:
                the_leader_has_written(walk, "report", "check", "heartbeat")
            if walk.pods and "dsched-run" in block.text:
                edited = datetime.now(UTC)
                it_beats(walk, after=edited)
                walk.stop("pod-0")
                left = datetime.now(UTC)
                back = a_few_beats_later(left)
            if "dsched config decisions heartbeat" in block.text:
                it_beats(walk, after=back + BEAT)
            walk.take(block)
        assert walk.last("dsched diff").code == 6
        said = {line: walk.last(line).out for line in ("dsched logs", "dsched why check")}
        assert "writing the report of yesterday" in said["dsched logs"]
        assert "the report has no pages" in said["dsched why check"]
        assert "no reports in August" in walk.last("dsched config get").out
        assert "07:30" in walk.last("dsched next report").out
        assert len(walk.last("dsched cluster terms").out.splitlines()) >= 3  # a head, two terms
        assert " LATE" in walk.last("dsched config decisions heartbeat").out.splitlines()[0]
        beats = [beat for beat in beats_of(walk) if beat.instant > edited]
        assert_every_beat_once(beats)
        assert_what_was_missed_is_told([beat for beat in beats if left < beat.instant < back])
        fires = [one.out for one in walk.said if one.line.startswith("dsched why heartbeat")]
        assert len(fires) == 2
        assert all("fired" in told for told in fires)
        walk.stop("pod-0")


def assert_every_beat_once(beats: list[Beat]) -> None:
    """No beat is missing between the others, and none is there twice."""
    instants = [beat.instant for beat in beats]
    assert instants == [instants[0] + number * BEAT for number in range(len(instants))], beats


def assert_what_was_missed_is_told(missed: list[Beat]) -> None:
    """The oldest missed instant ran late; one that found it still running was skipped."""
    assert len(missed) >= 2, missed
    oldest, *others = missed
    assert oldest.verdict == "fired", missed
    assert oldest.late_ms >= BEAT / timedelta(milliseconds=1), missed
    assert {(one.verdict, one.reason) for one in others} <= {
        ("skipped", "overlap"),
        ("fired", ""),
    }, missed


def beats_of(walk: Walk) -> list[Beat]:
    """What was decided about the instants of `heartbeat`, the oldest first, ranges taken apart."""
    told = json.loads(walk.ask("dsched config decisions heartbeat -o json"))
    return sorted(
        (
            Beat(
                datetime.fromisoformat(one["first"]) + number * BEAT,
                one["verdict"],
                one["reason"],
                one["late_ms"],
            )
            for one in told
            for number in range(one["count"])
        ),
        key=lambda beat: beat.instant,
    )


def it_beats(walk: Walk, *, after: datetime) -> None:
    """The list tells of a beat that was due after an instant."""
    wait_until(
        lambda: any(beat.instant > after for beat in beats_of(walk)),
        f"a beat of heartbeat after {after}",
        timeout_s=40,
    )


def a_few_beats_later(left: datetime) -> datetime:
    """Wait until two beats at the least were due since the pod left; when that is."""
    later = left + 2.2 * BEAT
    wait_until(lambda: datetime.now(UTC) > later, "two beats", timeout_s=30)
    return later


def the_leader_has_written(walk: Walk, *configs: str) -> None:
    """Lists of ended tasks are written a moment after the fact; a reader is slower than that."""
    for config in configs:
        command = f"dsched task list --of {config} -o json"
        wait_until(lambda command=command: json.loads(walk.ask(command)), command, timeout_s=30)
