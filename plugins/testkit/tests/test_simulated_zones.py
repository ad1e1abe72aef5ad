"""The zones of simulated runs owe nothing to the machine's zone database."""

import os
import random
import subprocess
import sys
import zoneinfo
from zoneinfo import ZoneInfo

import pytest

from dsched.planning.zone import load_zone
from dsched_testkit.simulated_zones import ZONES, simulated_zone
from dsched_testkit.simulation.night import changes, offset_s, random_night

# What the edition 2025b said of the real places: the changes in the year from January 15th, 2027.
CHANGES = {
    "Simulated/Berlin": (1806195600, 1824944400),
    "Simulated/New_York": (1805007600, 1825567200),
    "Simulated/Lord_Howe": (1806764400, 1822491000),
    "Simulated/Troll": (1806195600, 1824944400),
    "Simulated/Havana": (1805000400, 1825563600),
    "Simulated/Casablanca": (1801965600, 1804989600),
    "Simulated/Chatham": (1806760800, 1821880800),
}
JANUARY_S, JULY_S = 1_800_000_000, 1_815_000_000


@pytest.mark.parametrize("zone", ZONES)
def test_a_zone_changes_when_its_rule_says(zone):
    assert changes(zone) == CHANGES[zone]


def test_the_zones_differ_by_what_real_ones_differ_by():
    found = {zone: (offset_s(zone, JANUARY_S), offset_s(zone, JULY_S)) for zone in ZONES}
    assert found["Simulated/Berlin"] == (3600, 7200)
    assert found["Simulated/New_York"] == (-18_000, -14_400)
    assert found["Simulated/Lord_Howe"] == (39_600, 37_800)  # half an hour, and winter in July
    assert found["Simulated/Troll"] == (0, 7200)
    assert found["Simulated/Chatham"] == (49_500, 45_900)
    assert offset_s("Simulated/Casablanca", 1_802_000_000) == 0  # in Ramadan
    assert found["Simulated/Casablanca"] == (3600, 3600)


@pytest.mark.parametrize("zone", ZONES)
def test_the_planner_finds_such_a_zone_by_its_name(zone):
    first_s, last_s = CHANGES[zone]
    simulated_zone(zone)
    found = [one.start_s for one in load_zone(zone).segments(first_s - 1, last_s + 1)][1:]
    assert found == [first_s, last_s]


def test_nothing_of_a_zone_stays_on_the_search_path():
    before = zoneinfo.TZPATH
    for zone in ZONES:
        simulated_zone(zone)
    assert before == zoneinfo.TZPATH


def test_a_zone_outlives_a_cleared_cache():
    zone = ZONES[0]
    simulated_zone(zone)
    ZoneInfo.clear_cache()
    with pytest.raises(zoneinfo.ZoneInfoNotFoundError):
        ZoneInfo(zone)
    random_night(_Always(zone))
    assert ZoneInfo(zone) is simulated_zone(zone)


class _Always(random.Random):
    """Chooses one zone."""

    def __init__(self, zone: str) -> None:
        super().__init__(1)
        self._zone = zone

    def choice(self, seq):
        """The zone where it is to be had."""
        return self._zone if self._zone in seq else super().choice(seq)


@pytest.mark.parametrize("database", ["the machine's", "the wheel's"])
def test_a_night_is_the_same_whatever_zone_data_a_machine_has(database):
    code = (
        "import random; from dsched_testkit.simulation.night import random_night;"
        "print([random_night(random.Random(seed)) for seed in range(200)])"
    )
    told = {name: value for name, value in os.environ.items() if name != "PYTHONTZPATH"}
    if database == "the wheel's":
        told["PYTHONTZPATH"] = ""
    there = subprocess.run(
        [sys.executable, "-c", code], env=told, capture_output=True, text=True, check=True
    )
    here = [random_night(random.Random(seed)) for seed in range(200)]
    assert there.stdout.strip() == str(here)
    assert {zone for zone, _ in here} == set(ZONES)
