"""The checker's enumerator and the planner find the same instants by different means."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from dsched.model import TaskConfig, from_ms
from dsched.planning.triggers import config_instants
from dsched_testkit.instants import UnknownTriggerError, content_line, owed, read_content
from dsched_testkit.simulated_zones import ZONES, simulated_zone
from dsched_testkit.simulation.night import changes

START_MS = 1_800_000_001_234


def planned(config, after_ms, upto_ms):
    found, at_ms = [], config_instants(config).next_after(after_ms)
    while at_ms is not None and at_ms <= upto_ms:
        found.append(at_ms)
        at_ms = config_instants(config).next_after(at_ms)
    return found


@pytest.mark.parametrize(
    ("trigger", "hours"),
    [
        ({"every": timedelta(milliseconds=7777)}, 0.1),
        ({"every": timedelta(seconds=30), "start_at": from_ms(1_800_000_015_000)}, 0.1),
        ({"cron_expr": "*/7 * * * * *"}, 0.1),
        ({"cron_expr": "3,17,59 * * * * *", "end_at": from_ms(1_800_000_200_000)}, 0.1),
        ({"cron_expr": "5 */2 * * * *"}, 0.1),
        ({"cron_expr": "*/10 8-10 * * mon-fri"}, 100),
        ({"cron_expr": "30 6 1,15 * sun"}, 1000),
        ({"cron_expr": "0 12 */10 jan *"}, 1000),
        ({"cron_expr": "15 3 * * 1-5/2", "timezone": "Asia/Kolkata"}, 300),
        ({"at": datetime(2027, 1, 15, 8, 1, tzinfo=UTC)}, 1),
    ],
)
def test_the_enumerator_finds_what_the_planner_finds_by_other_means(trigger, hours):
    config = TaskConfig(id="c", executor="fn", created_ms=START_MS, **trigger)
    upto_ms = START_MS + round(hours * 3_600_000)
    found = owed(config, START_MS, upto_ms)
    assert found == planned(config, START_MS, upto_ms)
    assert found
    assert owed(read_content(content_line(config)), START_MS, upto_ms) == found


OFF = {"name": "off", "weekdays": ["sun"], "dates": {"2027-01-18/2027-01-19": "", "2027-01-22": ""}}


@pytest.mark.parametrize("calendar", [{"skip": [OFF]}, {"only": [OFF]}])
@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Asia/Kolkata"])
def test_the_enumerator_leaves_out_the_days_that_the_planner_leaves_out(zone, calendar):
    config = TaskConfig(
        id="c", executor="fn", cron_expr="30 */5 * * *", timezone=zone, calendar=calendar
    )
    upto_ms = START_MS + 14 * 86_400_000
    found = owed(config, START_MS, upto_ms)
    assert found == planned(config, START_MS, upto_ms)
    everything = owed(attrs.evolve(config, calendar=None), START_MS, upto_ms)
    assert found
    assert set(found) < set(everything)
    assert owed(read_content(content_line(config)), START_MS, upto_ms) == found


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("gap", ["next", "skip"])
@pytest.mark.parametrize("overlap", ["first", "last", "both"])
def test_around_a_change_of_the_clocks_both_find_the_same(zone, gap, overlap):
    for change_s in changes(zone):
        shown = datetime.fromtimestamp(change_s - 1, simulated_zone(zone))
        for cron in (f"0,40 {shown.hour},{(shown.hour + 1) % 24} * * *", "*/30 * * * *"):
            config = TaskConfig(
                id="c", executor="fn", cron_expr=cron, timezone=zone, dst_gap=gap,
                dst_overlap=overlap,
            )  # fmt: skip
            around_ms = (change_s - 10_000) * 1000, (change_s + 10_000) * 1000
            assert owed(config, *around_ms) == planned(config, *around_ms)


@pytest.mark.parametrize("cron", ["0 0 12 L * ?", "@daily", "H 3 * * *", "0 0 12 * * 1 2027"])
def test_the_enumerator_refuses_a_cron_that_it_does_not_know(cron):
    with pytest.raises(UnknownTriggerError, match="does not know"):
        owed(TaskConfig(id="c", executor="fn", cron_expr=cron), 0, 1000)
