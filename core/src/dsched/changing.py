"""What a change of a config owes and moves, as a function of what is stored and of the time."""

import attrs

from dsched.contracts.steps import ConfigVersion, PutConfig, Rearm, StoredConfig
from dsched.model import SkipReason, TaskConfig
from dsched.planning import next_due, plan_rearm


def planned_rearm(
    stored: StoredConfig, now_ms: int, reason: SkipReason, successor: TaskConfig | None
) -> Rearm:
    """What a change of this config owes, and when ``successor`` (None: nothing) is due next."""
    skipped = plan_rearm(
        stored.config,
        due_ms=stored.due_ms,
        paused_gap_from_ms=None if stored.paused is None else stored.paused.gap_from_ms,
        now_ms=now_ms,
        last_fired_ms=stored.last_fired_ms,
        reason=reason,
        successor=successor,
    )
    due_ms = None
    if successor is not None:
        due_ms = next_due(successor, now_ms=now_ms, last_fired_ms=stored.last_fired_ms)
    return Rearm(read=stored.version, upto_ms=now_ms, skipped=skipped, next_due_ms=due_ms)


def planned_put(config: TaskConfig, old: StoredConfig | None, now_ms: int) -> PutConfig:
    """How to put a config over what is stored (None: nothing)."""
    if old is None:
        config = attrs.evolve(config, created_ms=now_ms)
        rearm = Rearm(
            read=ConfigVersion(),
            upto_ms=now_ms,
            next_due_ms=next_due(config, now_ms=now_ms),
        )
        return PutConfig(config=config, rearm=rearm)
    config = attrs.evolve(config, created_ms=old.config.created_ms)
    reason = SkipReason.EDITED if config.enabled else SkipReason.DISABLED
    return PutConfig(config=config, rearm=planned_rearm(old, now_ms, reason, config))
