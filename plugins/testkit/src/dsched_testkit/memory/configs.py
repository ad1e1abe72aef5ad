"""Configs of the reference store."""

from collections.abc import Sequence

import attrs

from dsched.contracts.store.bounds import MAX_HEAVY_BATCH
from dsched.contracts.store.checks import check_batch, check_limit
from dsched.contracts.store.configs import (
    ConfigPage,
    Configs,
    ConfigVersion,
    Pause,
    PutAnswer,
    PutConfig,
    Rearm,
    StoredConfig,
)
from dsched.contracts.store.events import EventKind
from dsched.contracts.store.outcomes import Outcome
from dsched.model import NOTHING_COUNTED, SkippedRange, pause_due
from dsched_testkit.memory.base import OnState
from dsched_testkit.memory.limits import bound_config
from dsched_testkit.memory.state import ConfigRow, Item, Step


class MemoryConfigs(OnState, Configs):
    """Configs."""

    async def put(self, items: Sequence[PutConfig], *, by: str) -> tuple[PutAnswer, ...]:
        """Create or change configs."""
        check_batch([item.config.id for item in items], MAX_HEAVY_BATCH)
        with self._state.step() as step:
            return tuple(self._put(step, item, by) for item in items)

    def _put(self, step: Step, item: PutConfig, by: str) -> PutAnswer:
        row = self._state.configs.get(item.config.id)
        if row is not None and row.config == item.config:
            return PutAnswer(outcome=Outcome.DUP, stored=row.view())
        outcome = _check(step, row, item.rearm)
        created_ms = (
            item.config.created_ms or step.wall_ms if row is None else row.config.created_ms
        )
        if outcome is Outcome.OK and created_ms > step.wall_ms and row is None:
            outcome = Outcome.EARLY
        if outcome is not Outcome.OK:
            return PutAnswer(outcome=outcome, stored=None if row is None else row.view())
        state = self._state
        state.last_revision = max(state.last_revision + 1, step.now_ms)
        config = attrs.evolve(
            item.config,
            revision=state.last_revision,
            created_ms=created_ms,
            updated_ms=step.wall_ms,
        )
        if row is None:
            row = state.configs[config.id] = ConfigRow(config=config)
        row.counted = row.counted.after_edit(row.config, config)
        row.config = config
        if row.paused is not None:
            row.paused = attrs.evolve(row.paused, gap_from_ms=item.rearm.upto_ms)
        bound_config(state, config.id, config.max_running)
        self._rearm(step, row, item.rearm, by)
        event: Item = {"config": config.id, "act": "put", "revision": config.revision}
        step.note(EventKind.CONFIG, by, event)
        return PutAnswer(outcome=Outcome.OK, stored=row.view())

    async def get_configs(self, config_ids: Sequence[str]) -> tuple[StoredConfig | None, ...]:
        """Configs by id."""
        check_batch(config_ids)
        with self._state.step():
            rows = [self._state.configs.get(config_id) for config_id in config_ids]
            return tuple(None if row is None else row.view() for row in rows)

    async def list_configs(
        self, cursor: str | None, limit: int, *, origin: str | None = None, prefix: str = ""
    ) -> ConfigPage:
        """Configs by ascending id."""
        check_limit(limit)
        with self._state.step():
            rows = self._state.configs.items()
            found = [key for key, row in rows if origin in (None, row.config.origin)]
            found = [key for key in found if key.startswith(prefix)]
            ids = sorted(key for key in found if cursor is None or key > cursor)
            page = ids[:limit]
            return ConfigPage(
                configs=tuple(self._state.configs[key].view() for key in page),
                cursor=page[-1] if len(ids) > limit else None,
            )

    async def delete(self, config_id: str, rearm: Rearm, *, by: str) -> Outcome:
        """Remove a config."""
        with self._state.step() as step:
            row = self._state.configs.get(config_id)
            if row is None:
                return Outcome.UNKNOWN
            outcome = _check(step, row, rearm)
            if outcome is not Outcome.OK:
                return outcome
            _note_skipped(step, config_id, rearm, by)
            step.set_due(row, None)
            del self._state.configs[config_id]
            bound_config(self._state, config_id, None)
            note_config(step, row, act="deleted", by=by)
            return Outcome.OK

    async def pause(
        self, config_id: str, rearm: Rearm, *, by: str, why: str, until_ms: int | None = None
    ) -> Outcome:
        """Pause a config."""
        with self._state.step() as step:
            row = self._state.configs.get(config_id)
            if row is None:
                return Outcome.UNKNOWN
            before = row.paused
            if before is not None and before.until_ms == until_ms:
                return Outcome.ALREADY
            outcome = _check(step, row, rearm)
            if outcome is not Outcome.OK:
                return outcome
            row.paused = Pause(
                who=by,
                why=why,
                since_ms=step.wall_ms if before is None else before.since_ms,
                gap_from_ms=rearm.upto_ms if before is None else before.gap_from_ms,
                until_ms=until_ms,
            )
            skips = row.skips
            self._rearm(step, row, rearm, by)
            row.skips = skips  # the end of the pause accounts for them
            note_config(step, row, act="paused", by=by, why=why, until_ms=until_ms)
            return Outcome.OK

    async def resume(self, config_id: str, rearm: Rearm, *, by: str) -> Outcome:
        """Resume a config."""
        with self._state.step() as step:
            row = self._state.configs.get(config_id)
            if row is None:
                return Outcome.UNKNOWN
            if row.paused is None:
                return Outcome.ALREADY
            outcome = _check(step, row, rearm)
            if outcome is not Outcome.OK:
                return outcome
            row.paused, row.counted = None, NOTHING_COUNTED
            self._rearm(step, row, rearm, by)
            note_config(step, row, act="resumed", by=by)
            return Outcome.OK

    def _rearm(self, step: Step, row: ConfigRow, rearm: Rearm, by: str) -> None:
        _note_skipped(step, row.config.id, rearm, by)
        row.forget_skips(rearm.decided_before_ms)
        waits = row.config.fixed_delay is not None and self._state.live.get(row.config.id)
        step.set_due(row, None if waits or row.paused is not None else rearm.next_due_ms)
        if row.paused is not None and row.paused.until_ms is not None:
            step.park(row, row.paused.until_ms)


def name_if_counted(step: Step, row: ConfigRow) -> None:
    """Name a config to the leader at once if it has counted enough to pause itself."""
    if row.due_ms is not None and pause_due(row.config, row.counted) is not None:
        step.park(row, step.wall_ms)


def note_config(
    step: Step,
    row: ConfigRow,
    *,
    act: str,
    by: str,
    who: str = "",
    why: str = "",
    until_ms: int | None = None,
) -> None:
    """Record what was done to a config."""
    event: Item = {"config": row.config.id, "act": act, "revision": row.config.revision}
    if who:
        event["who"] = who
    if why:
        event["why"] = why
    if until_ms is not None:
        event["until"] = until_ms
    step.note(EventKind.CONFIG, by, event)


def _check(step: Step, row: ConfigRow | None, rearm: Rearm) -> Outcome:
    stored = ConfigVersion() if row is None else row.view().version
    if stored != rearm.read:
        return Outcome.MOVED
    return Outcome.EARLY if rearm.latest_ms > step.wall_ms else Outcome.OK


def _note_skipped(step: Step, config_id: str, rearm: Rearm, by: str) -> None:
    for one in rearm.ranges:
        step.note(EventKind.SKIPPED, by, skipped_item(config_id, one))


def skipped_item(config_id: str, skipped: SkippedRange) -> Item:
    """A range of instants that will not be fired, as the log has it."""
    item: Item = {
        "config": config_id,
        "first": skipped.first_ms,
        "last": skipped.last_ms,
        "count": skipped.count,
        "reason": skipped.reason.value,
    }
    for key in ("trigger", "who", "why"):
        if text := getattr(skipped, key):
            item[key] = text
    return item
