"""The trigger behind a recorded range, as a text: which instants between its ends were meant.

A config changes and is deleted; what is recorded of it stays, and has to make sense by itself.
"""

from datetime import timedelta
from functools import lru_cache

import attrs

from dsched.model import (
    CronTrigger,
    DstGap,
    DstOverlap,
    EveryTrigger,
    SkippedRange,
    SkipReason,
    TaskConfig,
    to_ms,
)
from dsched.model.json import JsonValue, dumps, loads
from dsched.planning.errors import InvalidTriggerError
from dsched.planning.instants import Instants
from dsched.planning.triggers import compile_trigger, config_instants

_ONE_MS = timedelta(milliseconds=1)


@attrs.frozen(kw_only=True)
class Remembered:
    """A trigger of the past: its instants, what it is called, and itself if it is a cron
    trigger."""

    instants: Instants
    words: str
    cron: CronTrigger | None = None

    def has(self, at_ms: int) -> bool:
        """Whether this is one of its instants."""
        return self.instants.count_between(at_ms, at_ms) > 0


def trigger_text(config: TaskConfig) -> str:
    """What the instants of a config depend on beside its id; empty if they cannot be planned."""
    trigger = config.trigger
    facts: dict[str, JsonValue] = {}
    if isinstance(trigger, CronTrigger):
        facts = {"cron": trigger.expression, "zone": trigger.timezone}
        if trigger.dst_gap is not DstGap.NEXT:
            facts["gap"] = trigger.dst_gap.value
        if trigger.dst_overlap is not DstOverlap.FIRST:
            facts["overlap"] = trigger.dst_overlap.value
    elif isinstance(trigger, EveryTrigger):
        facts = {"every": trigger.period // _ONE_MS, "anchor": trigger.anchor_ms}
    else:
        return ""
    for key, bound in (("start", config.start_at), ("end", config.end_at)):
        if bound is not None:
            facts[key] = to_ms(bound)
    return dumps(facts)


def remembering(config: TaskConfig, skipped: SkippedRange | None) -> SkippedRange | None:
    """A range that names the trigger that it was made by, unless it has no instants but its
    ends."""
    if skipped is None or 1 <= skipped.count <= 2:
        return skipped
    return attrs.evolve(skipped, trigger=trigger_text(config))


def disabled_range(config: TaskConfig, *, now_ms: int) -> SkippedRange | None:
    """A note that a disabled config had instants between its last change and now; none was owed.

    None where it had none, and of an `at`: that one may be owed again.
    """
    if config.enabled or (config.cron_expr is None and config.every is None):
        return None
    instants = config_instants(config)
    first_ms = instants.next_after(config.updated_ms)
    if first_ms is None or first_ms > now_ms:
        return None
    last_ms = instants.last_before(now_ms, not_before_ms=first_ms)
    return remembering(
        config,
        SkippedRange(
            first_ms=first_ms,
            last_ms=first_ms if last_ms is None else last_ms,
            count=0,
            reason=SkipReason.DISABLED,
        ),
    )


@lru_cache(maxsize=256)
def remembered(text: str, config_id: str) -> Remembered | None:
    """The trigger of a text of `trigger_text`; None if this dsched or its zones cannot read it."""
    try:
        facts = loads(text)
        bounds = {"start_ms": facts.get("start"), "end_ms": facts.get("end")}
        if "cron" not in facts:
            period = timedelta(milliseconds=facts["every"])
            every = EveryTrigger(period=period, anchor_ms=facts["anchor"])
            return Remembered(
                instants=compile_trigger(every, **bounds), words=f"period of {period}"
            )
        cron = CronTrigger(
            expression=facts["cron"],
            timezone=facts["zone"],
            dst_gap=DstGap(facts.get("gap", DstGap.NEXT)),
            dst_overlap=DstOverlap(facts.get("overlap", DstOverlap.FIRST)),
            seed=config_id,
        )
        words = f"cron expression {cron.expression!r} ({cron.timezone})"
        return Remembered(instants=compile_trigger(cron, **bounds), words=words, cron=cron)
    except (InvalidTriggerError, ValueError, KeyError, TypeError, AttributeError):
        return None
