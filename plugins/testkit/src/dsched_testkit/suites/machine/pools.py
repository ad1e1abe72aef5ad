"""What the machine has seen: current and stale fences, tokens, incarnations, versions, ids."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from dsched.contracts.store.classes import class_text
from dsched.contracts.store.configs import ConfigVersion, Rearm, StoredConfig
from dsched.contracts.store.firing import Fire
from dsched.model import (
    Overlap,
    SkippedRange,
    SkipReason,
    Step,
    TaskConfig,
    TaskSpec,
    When,
    Workflow,
    need_of,
)
from dsched.model.json import JsonValue
from dsched.planning import PlannedRun

T = TypeVar("T")

WORKERS = ("w0", "w1")
INCARNATIONS = ("01-a", "02-b", "03-c")
TASKS = (*(f"t{index}" for index in range(8)), "c0@manual-x")
CONFIGS = ("c0", "c1", "c2", "c3", "c4", "c5", "c6")
ORIGINS = ("api", "file:a", "file:ab")  # a name that starts with another
PERIOD_MS = 20_000
# What tasks demand, by the variant of their snapshot or config; and the classes of that.
DEMANDS: tuple[dict[str, str], ...] = ({}, {"gpu": "1"}, {"gpu": "1"}, {"zone": "eü"})
# The limits that they name, by the same.
LIMITS: tuple[tuple[str, ...], ...] = ((), ("a",), ("b:x", "a"), ("b:y",))
# What rates limits have, and how many tokens a bucket holds.
RATES: tuple[tuple[str | None, int | None], ...] = (
    (None, None),
    (None, None),
    ("7/1s", 2),
    ("1/1s", None),
    ("1/20s", 3),
)
_NEED = need_of("local", {"n": 1})
CLASSES = tuple(sorted({class_text(one, _NEED) or "" for one in DEMANDS}))
DAY_MS = 24 * 3600 * 1000


def _step(step_id: str, *needs: str, **fields: Any) -> Step:
    return Step(id=step_id, executor="local", payload={"n": step_id}, needs=needs, **fields)


# What makes runs, by the variant of a snapshot or config; the other variants make plain tasks.
FLOWS: Mapping[int, Workflow] = {
    4: Workflow(steps=[_step("a"), _step("b", "a"), _step("c", "a", when=When.FAILURE)]),
    5: Workflow(shards=3, max_parallel=2),
    6: Workflow(
        steps=[
            _step("a", allow_failure=True),
            _step("s", shards=2, priority=9, required_labels={"gpu": "1"}),
            _step("z", "a", "s", when=When.ALWAYS),
        ],
        fail_fast=True,
        timeout=timedelta(seconds=30),
    ),
}

_OVERLAPS = {
    "c0": Overlap.SKIP,
    "c1": Overlap.QUEUE_ONE,
    "c2": Overlap.CANCEL_PREVIOUS,
    "c3": Overlap.ALLOW,
    "c4": Overlap.QUEUE_ONE,
    "c5": Overlap.SKIP,
    "c6": Overlap.QUEUE_ALL,
}


def pick(pool: Sequence[T], index: int) -> T:
    """An entry of a pool, the newest for 0, 1, 2; older ones for larger numbers."""
    return pool[-1 - max(0, index - 2) % len(pool)]


def config_of_kind(config_id: str, variant: int) -> TaskConfig:
    """A config; `c4` and `c5` are fixed-delay ones, the others run at a fixed rate."""
    trigger: dict[str, Any] = (
        {"fixed_delay": timedelta(seconds=20)}
        if config_id in ("c4", "c5")
        else {"every": timedelta(milliseconds=PERIOD_MS)}
    )
    return TaskConfig(
        id=config_id,
        name=f"variant {variant}",
        **_runs(variant, {"variant": variant}),
        overlap=_OVERLAPS[config_id],
        misfire_cap=2,
        enabled=variant != 3,
        start_deadline=timedelta(seconds=30) if variant == 2 else None,
        priority=5 + variant % 4,
        required_labels=DEMANDS[variant % 4],
        limits=LIMITS[variant % 4],
        origin=ORIGINS[variant % len(ORIGINS)],
        **trigger,
    )


def spec_of_kind(variant: int) -> TaskSpec:
    """A snapshot of a submission."""
    return TaskSpec(
        **_runs(variant, {"n": variant}),
        priority=3 + variant,
        start_deadline=timedelta(seconds=25) if variant == 2 else None,
        required_labels=DEMANDS[variant % 4],
        limits=LIMITS[variant % 4],
    )


def _runs(variant: int, payload: JsonValue) -> dict[str, Any]:
    """What is run: by an executor, or by the members of a run."""
    flow = FLOWS.get(variant)
    if flow is not None and flow.steps:
        return {"executor": "workflow", "workflow": flow}
    return {"executor": "local", "payload": payload, "workflow": flow}


def a_rearm(
    version: ConfigVersion, wall_ms: int, *, early: bool, skips: bool, due_in_ms: int | None
) -> Rearm:
    """A rearm planned from ``version``, sometimes accounting for the future, or skipping."""
    skipped = None
    if skips:
        skipped = SkippedRange(
            first_ms=wall_ms - 5000,
            last_ms=wall_ms,
            count=6,
            reason=SkipReason.EDITED,
            trigger='{"every":1000,"anchor":0}',
            who="operator",
            why="test",
        )
    return Rearm(
        read=version,
        upto_ms=wall_ms + (1 if early else 0),
        skipped=skipped,
        next_due_ms=None if due_in_ms is None else wall_ms + due_in_ms,
    )


def a_fire_of(stored: StoredConfig, wall_ms: int, runs: int) -> Fire:
    """What a leader does with a config that is named as due: it fires it, or ends its pause."""
    if stored.paused is None or stored.paused.until_ms is None:
        return a_fire(stored.config.id, stored.version, wall_ms, runs)
    until_ms = stored.paused.until_ms
    return Fire(
        config_id=stored.config.id,
        revision=stored.config.revision,
        due_ms=until_ms,
        skipped=SkippedRange(
            first_ms=until_ms - runs, last_ms=until_ms - 1, count=runs, reason=SkipReason.PAUSED
        )
        if runs
        else None,
        next_due_ms=None if runs > 1 else until_ms + 1,
        resumes=True,
    )


def a_fire(config_id: str, version: ConfigVersion, wall_ms: int, runs: int) -> Fire:
    """A fire of a due config: up to ``runs`` instants that have come, a period apart."""
    due_ms = version.due_ms if version.due_ms is not None else wall_ms
    instants = [due_ms + index * PERIOD_MS for index in range(runs)]
    instants = [instant for instant in instants if instant <= wall_ms] or [due_ms]
    jitter_ms = 3000 if config_id == "c0" else 0
    return Fire(
        config_id=config_id,
        revision=version.revision,
        due_ms=due_ms,
        runs=tuple(PlannedRun(scheduled_ms=at, not_before_ms=at + jitter_ms) for at in instants),
        next_due_ms=instants[-1] + PERIOD_MS,
    )
