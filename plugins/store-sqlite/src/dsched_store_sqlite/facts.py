"""What is kept of the log: decisions with what became of them, and statistics by hour."""

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.codec import read_decision, write_decision
from dsched.contracts.store.statistics import Rollup
from dsched.model import Decision, DecisionUpdate, Verdict
from dsched.model.json import dumps, loads
from dsched_store_sqlite.step import Step

MOST = 10 * MAX_BATCH

KEPT = "record, worker_id, worker_why, ended, missed_at_ms"
ANY_MISSED = "SELECT 1 FROM decision WHERE verdict = 'missed' LIMIT 1"
MISSED_IN = (
    "SELECT config_id, first_ms, verdict, reason, at_ms FROM decision "
    "WHERE verdict = 'missed' AND config_id = ? AND first_ms BETWEEN ? AND ? "
    "ORDER BY first_ms LIMIT ?"
)
FIRED_AT = (
    "SELECT 1 FROM decision WHERE config_id = ? AND first_ms = ? AND verdict = 'fired' "
    "AND reason = ''"
)
ADD_DECISION = (
    "INSERT OR IGNORE INTO decision "
    "(config_id, first_ms, verdict, reason, at_ms, record) VALUES (?, ?, ?, ?, ?, ?)"
)
DELETE_DECISION = (
    "DELETE FROM decision WHERE config_id = ? AND first_ms = ? AND verdict = ? AND reason = ?"
)
SET_MISSED = (
    "UPDATE decision SET missed_at_ms = ? "
    "WHERE config_id = ? AND first_ms = ? AND verdict = ? AND reason = ?"
)
DISPATCHED = (
    "UPDATE decision SET worker_id = ?, worker_why = ? "
    "WHERE config_id = ? AND first_ms = ? AND verdict = 'fired' AND reason = ''"
)
ENDED = (
    "UPDATE decision SET ended = ? "
    "WHERE config_id = ? AND first_ms = ? AND verdict = 'fired' AND reason = ''"
)
COUNT = (
    "INSERT INTO decided VALUES (?, ?) "
    "ON CONFLICT (config_id) DO UPDATE SET kept = kept + excluded.kept"
)
COUNTED = "SELECT kept FROM decided WHERE config_id = ?"
FORGET_COUNT = "DELETE FROM decided WHERE config_id = ? AND kept <= 0"
EARLIEST = (
    "SELECT config_id, first_ms, verdict, reason FROM decision WHERE config_id = ? "
    "ORDER BY first_ms, verdict, reason LIMIT ?"
)
STAT = "SELECT adds, tops FROM stat WHERE config_id = ? AND hour_ms = ?"
STATS = (
    "SELECT hour_ms, adds, tops FROM stat WHERE config_id = ? AND hour_ms BETWEEN ? AND ? "
    "ORDER BY hour_ms"
)
OLD_STATS = "SELECT config_id, hour_ms FROM stat WHERE hour_ms <= ? ORDER BY hour_ms LIMIT ?"
DELETE_STAT = "DELETE FROM stat WHERE config_id = ? AND hour_ms = ?"
PUT_STAT = "INSERT OR REPLACE INTO stat VALUES (?, ?, ?, ?)"


def decide(step: Step, decisions: Iterable[Decision]) -> set[str]:
    """Add decisions in their order; the configs that have one more now."""
    missed = step.db.execute(ANY_MISSED).fetchone() is not None
    added: set[str] = set()
    for decision in decisions:
        key = (decision.config_id, decision.first_ms)
        if decision.verdict is Verdict.MISSED:
            missed = True
            if step.db.execute(FIRED_AT, key).fetchone() is not None:
                continue
        values = (*key, decision.verdict.value, decision.reason, decision.at_ms)
        new = step.db.execute(ADD_DECISION, (*values, write_decision(decision))).rowcount
        if not new:
            continue
        added.add(decision.config_id)
        _count(step, decision.config_id, 1)
        if missed and decision.verdict is not Verdict.MISSED:
            missed_at_ms = _replace_missed(step, decision)
            if missed_at_ms is not None:
                step.db.execute(SET_MISSED, (missed_at_ms, *values[:4]))
    return added


def _replace_missed(step: Step, decision: Decision) -> int | None:
    """Remove the misses that a decision is about; when the latest was reported, if there are
    any."""
    scope = (decision.config_id, decision.first_ms, decision.last_ms, MOST)
    found = step.db.execute(MISSED_IN, scope).fetchall()
    if not found:
        return None
    remove_decisions(step, [columns[:4] for columns in found])
    return max(int(columns[4]) for columns in found)


def remove_decisions(step: Step, keys: Iterable[tuple[Any, ...]]) -> None:
    """Remove decisions by their keys, each of which is there."""
    for key in keys:
        step.db.execute(DELETE_DECISION, key)
        _count(step, key[0], -1)
        step.db.execute(FORGET_COUNT, (key[0],))


def _count(step: Step, config_id: str, by: int) -> None:
    step.db.execute(COUNT, (config_id, by))


def follow(step: Step, updates: Iterable[DecisionUpdate]) -> None:
    """Write down what became of fires, where their decisions are kept."""
    dispatched, ended = [], []
    for update in updates:
        key = (update.config_id, update.first_ms)
        if update.worker_id is not None:
            dispatched.append((update.worker_id, update.worker_why, *key))
        if update.ended:
            ended.append((update.ended, *key))
    step.db.executemany(DISPATCHED, dispatched)
    step.db.executemany(ENDED, ended)


def trim_decisions(step: Step, config_ids: Iterable[str]) -> None:
    """Keep no more decisions of a config than its latest."""
    for config_id in config_ids:
        surplus = kept_decisions(step, config_id) - step.settings.max_decisions
        if surplus > 0:
            scope = (config_id, min(surplus, MOST))
            remove_decisions(step, step.db.execute(EARLIEST, scope).fetchall())


def kept_decisions(step: Step, config_id: str) -> int:
    """How many decisions of a config are kept."""
    found = step.db.execute(COUNTED, (config_id,)).fetchone()
    return 0 if found is None else int(found[0])


def kept_from_ms(step: Step, config_id: str) -> int:
    """From which instant on every decision of a config is kept."""
    by_age_ms = step.wall_ms - step.settings.result_ttl_ms
    if kept_decisions(step, config_id) < step.settings.max_decisions:
        return by_age_ms
    return max(by_age_ms, int(step.db.execute(EARLIEST, (config_id, 1)).fetchone()[1]))


def read_kept(columns: tuple[Any, ...]) -> Decision:
    """A decision from the columns of `KEPT`."""
    record, worker_id, worker_why, ended, missed_at_ms = columns
    decision = read_decision(record)
    since: dict[str, Any] = {}
    if worker_id is not None:
        since.update(worker_id=worker_id, worker_why=worker_why)
    if ended is not None:
        since.update(ended=ended)
    if missed_at_ms is not None:
        since.update(missed_at_ms=missed_at_ms)
    return attrs.evolve(decision, **since) if since else decision


def add_rollups(step: Step, rollups: Iterable[Rollup]) -> None:
    """Add to the totals of each config and hour."""
    rows = []
    for rollup in rollups:
        key = (rollup.config_id, rollup.hour_ms)
        found = step.db.execute(STAT, key).fetchone()
        adds, tops = ("{}", "{}") if found is None else found
        total = _merged(loads(adds), rollup.adds, largest=False)
        highest = _merged(loads(tops), rollup.tops, largest=True)
        rows.append((*key, dumps(total), dumps(highest)))
    step.db.executemany(PUT_STAT, rows)


def _merged(kept: dict[str, int], new: Mapping[str, int], *, largest: bool) -> dict[str, int]:
    for name, number in new.items():
        before = kept.get(name, 0)
        kept[name] = max(before, number) if largest else before + number
    return kept


def read_rollups(step: Step, owner: str, first_ms: int, end_ms: int) -> tuple[Rollup, ...]:
    """The totals of each hour from ``first_ms`` to before ``end_ms`` that are not past their
    time."""
    oldest_ms = step.wall_ms - step.settings.stats_ttl_ms
    scope = (owner, max(first_ms, oldest_ms + 1), end_ms - 1)
    return tuple(
        Rollup(config_id=owner, hour_ms=hour_ms, adds=loads(adds), tops=loads(tops))
        for hour_ms, adds, tops in step.db.execute(STATS, scope).fetchall()
    )


def prune_stats(step: Step, limit: int) -> None:
    """Remove statistics that are past their time."""
    old = step.db.execute(OLD_STATS, (step.wall_ms - step.settings.stats_ttl_ms, limit)).fetchall()
    step.db.executemany(DELETE_STAT, old)
