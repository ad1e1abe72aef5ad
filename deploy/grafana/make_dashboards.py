"""Makes the two dashboards of Grafana: ``make dashboards``. Panels are rows of the tables below."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs

FOLDER = Path(__file__).parent / "dashboards"
WIDE, HALF, THIRD, SIXTH = 24, 12, 8, 4
SOURCE = {"type": "prometheus", "uid": "${source}"}


@attrs.frozen
class Panel:
    """A panel: its expressions with their legends, a unit of Grafana, and how wide it is."""

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    width: int = HALF
    kind: str = "timeseries"
    about: str = ""


def quantiles(metric: str, where: str = "") -> list[tuple[str, str]]:
    """The median and the worst hundredth of a histogram."""
    rate = f"sum by (le) (rate({metric}_bucket{where}[$__rate_interval]))"
    return [(f"histogram_quantile({q}, {rate})", f"p{100 * q:g}") for q in (0.5, 0.99)]


FLEET = (
    Panel("Leaders", [("sum(dsched_is_leader)", "")], width=SIXTH, kind="stat"),
    Panel("Workers", [("sum(dsched_workers_online)", "")], width=SIXTH, kind="stat"),
    Panel("Running", [("sum(dsched_worker_running_tasks)", "")], width=SIXTH, kind="stat"),
    Panel(
        "Oldest waiting task",
        [("max(dsched_oldest_ready_task_age_seconds)", "")],
        unit="s",
        width=SIXTH,
        kind="stat",
    ),
    Panel(
        "Missed in 24 h",
        [("sum(increase(dsched_instants_missed_total[24h]))", "")],
        width=SIXTH,
        kind="stat",
    ),
    Panel(
        "Takes writes",
        [("min(dsched_store_writable)", "")],
        width=SIXTH,
        kind="stat",
        about="0 while the store refuses the writes of a pod.",
    ),
    Panel(
        "Fires, and instants not fired",
        [
            ("sum(rate(dsched_fires_total[$__rate_interval]))", "fired"),
            ("sum by (reason) (rate(dsched_fires_skipped_total[$__rate_interval]))", "{{reason}}"),
        ],
        unit="cps",
    ),
    Panel("Lateness of fires", quantiles("dsched_schedule_lateness_seconds"), unit="s"),
    Panel(
        "How tasks ended",
        [("sum by (outcome) (rate(dsched_task_outcomes_total[$__rate_interval]))", "{{outcome}}")],
        unit="cps",
    ),
    Panel("Run time", quantiles("dsched_task_run_seconds"), unit="s"),
    Panel("Tasks that have not ended", [("sum by (home) (dsched_tasks_at_home)", "{{home}}")]),
    Panel(
        "Slots",
        [
            ("sum(dsched_worker_capacity)", "there"),
            ("sum(dsched_worker_running_tasks)", "taken"),
            ("sum(dsched_demand_slots)", "wanted"),
        ],
    ),
    Panel("Workers by status", [("sum by (status) (dsched_workers)", "{{status}}")]),
    Panel(
        "Tasks that no worker can run",
        [("max by (reason) (dsched_unrunnable_tasks)", "{{reason}}")],
    ),
    Panel("Calls of the store", quantiles("dsched_store_step_seconds"), unit="s"),
    Panel(
        "Calls of the store by outcome",
        [
            (
                "sum by (outcome) (rate(dsched_store_step_seconds_count[$__rate_interval]))",
                "{{outcome}}",
            )
        ],
        unit="cps",
    ),
    Panel("Heartbeats answered late by", quantiles("dsched_heartbeat_delay_seconds"), unit="s"),
    Panel(
        "What should not happen",
        [
            ("sum(increase(dsched_task_crashes_total[$__rate_interval]))", "crashed attempts"),
            ("sum(increase(dsched_clock_steps_back_total[$__rate_interval]))", "clock set back"),
            ("sum(increase(dsched_events_dropped_total[$__rate_interval]))", "events dropped"),
            ("sum(increase(dsched_invariant_violations_total[$__rate_interval]))", "invariants"),
            ("sum(increase(dsched_leaderless_total[$__rate_interval]))", "without a leader"),
        ],
    ),
    Panel(
        "Terms", [("max by (pod) (dsched_leader_epoch)", "{{pod}}")], about="Each step is a leader."
    ),
    Panel("Pods by version", [("count by (version) (dsched_build_info)", "{{version}}")]),
)

_ONE = '{config="$config"}'
_ENDS = f"increase(dsched_config_task_outcomes_total{_ONE}[$__rate_interval])"
_TOOK = f"increase(dsched_config_task_run_seconds_bucket{_ONE}[$__range])"


def _ended(outcome: str) -> str:
    chosen = f'{{config="$config",outcome="{outcome}"}}'
    return f"sum(increase(dsched_config_task_outcomes_total{chosen}[$__range]))"


SCHEDULE = (
    Panel("Ended well in the range", [(_ended("success"), "")], width=THIRD, kind="stat"),
    Panel("Failed in the range", [(_ended("failed"), "")], width=THIRD, kind="stat"),
    Panel(
        "Median run time in the range",
        [(f"histogram_quantile(0.5, sum by (le) ({_TOOK}))", "")],
        unit="s",
        width=THIRD,
        kind="stat",
    ),
    Panel("How its tasks ended", [(f"sum by (outcome) ({_ENDS})", "{{outcome}}")], width=WIDE),
    Panel(
        "Run time",
        quantiles("dsched_config_task_run_seconds", where=_ONE),
        unit="s",
        width=WIDE,
    ),
)


def dashboard(title: str, panels: Iterable[Panel], *, per_config: bool = False) -> dict[str, Any]:
    """The JSON that Grafana imports. It has no id of its own, so that it may be there twice."""
    variables: list[dict[str, Any]] = [
        {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    ]
    if per_config:
        asked = "label_values(dsched_config_task_outcomes_total, config)"
        variables.append(
            {
                "name": "config",
                "label": "Schedule",
                "type": "query",
                "datasource": SOURCE,
                "query": {"query": asked, "refId": "configs"},
                "refresh": 2,
                "sort": 1,
            }
        )
    return {
        "title": title,
        "tags": ["dsched"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": variables},
        "panels": list(_placed(panels)),
    }


def _placed(panels: Iterable[Panel]) -> Iterable[dict[str, Any]]:
    """Panels from left to right, in rows of 24."""
    x = y = tall = 0
    for number, panel in enumerate(panels, 1):
        height = 4 if panel.kind == "stat" else 8
        if x + panel.width > WIDE:
            x, y, tall = 0, y + tall, 0
        yield {
            "id": number,
            "type": panel.kind,
            "title": panel.title,
            "description": panel.about,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": panel.width, "h": height},
            "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
            "targets": [
                {"refId": chr(65 + at), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
                for at, (expr, legend) in enumerate(panel.queries)
            ],
        }
        x, tall = x + panel.width, max(tall, height)


def dashboards() -> dict[str, str]:
    """Each file by its name."""
    made = {
        "fleet.json": dashboard("dsched: fleet", FLEET),
        "schedule.json": dashboard("dsched: one schedule", SCHEDULE, per_config=True),
    }
    return {name: json.dumps(one, indent=1) + "\n" for name, one in made.items()}


def main() -> int:
    """Write them."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in dashboards().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
