"""Load to come leaves out the days that a calendar leaves out, of dense schedules too."""

from datetime import UTC, datetime

import pytest

from dsched.contracts.store.configs import StoredConfig
from dsched.model import TaskConfig, to_ms
from dsched_api_http.forecast import Forecaster
from dsched_api_http.occupancy import Span, due_of, load_of

HOUR_MS = 3_600_000
FRIDAY_MS = to_ms(datetime(2026, 12, 4, tzinfo=UTC))
WEEKEND = {"skip": [{"name": "weekend", "weekdays": ["sat", "sun"]}]}


def a_config(every: str) -> TaskConfig:
    config = TaskConfig(id="c", executor="local", every=every, calendar=WEEKEND)
    return config.stamped(created_ms=FRIDAY_MS - HOUR_MS)


@pytest.mark.parametrize("every", ["1m", "6h"])
def test_no_cell_of_a_weekend_has_a_fire(every: str):
    span = Span(from_ms=FRIDAY_MS, cell_ms=HOUR_MS, cells=96)
    due = due_of(a_config(every), span, after_ms=FRIDAY_MS - 1)
    counts = due.by_cell(span)
    assert set(counts) <= {*range(24), *range(72, 96)}
    assert sum(counts.values()) == (2 * 1440 if every == "1m" else 8)
    load = load_of([due], {"c": 120_000}, span)
    assert all(cell.fires == cell.slots == 0 for cell in load[24:72])
    assert load[0].slots == (2 if every == "1m" else 0) or every == "6h"


def test_the_hours_to_come_have_none_either():
    stored = StoredConfig(config=a_config("1m"))
    found = Forecaster().forecast([stored], FRIDAY_MS + 20 * HOUR_MS)
    assert found.complete
    assert found.hours[:5] == (59, 60, 60, 60, 0)
