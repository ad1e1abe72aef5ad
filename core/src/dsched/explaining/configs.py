"""Why a config fired, or did not, at an instant: from the records and from what was due at all."""

from collections.abc import Sequence

import attrs

from dsched.contracts.store.codec import UNREADABLE
from dsched.contracts.store.configs import StoredConfig
from dsched.contracts.store.history import Break
from dsched.explaining.breaks import told_of_instant
from dsched.explaining.decisions import clock_words, explain_decision, jitter_words, short
from dsched.explaining.explanation import Answer, Explanation
from dsched.explaining.pauses import lies_in, who_paused
from dsched.explaining.words import span
from dsched.model import Decision, SkipReason, Task, TaskConfig, Verdict, rfc3339_ms, to_ms
from dsched.planning import (
    InvalidTriggerError,
    LeftOut,
    clock_note,
    config_instants,
    left_out,
    remembered,
)

PATIENCE_MS = 5_000  # a due instant so young is pending: the leader polls every few seconds
_NO_LIMIT_MS = -(2**62)


@attrs.frozen(kw_only=True)
class ConfigFacts:
    """What the store says about a config, and about an instant of it.

    ``decisions``: newest first, of those kept at least every one that touches ``at_ms`` and the
    nearest on either side; those about instants before ``kept_from_ms`` may be gone. ``fence`` is
    that of the current leader. ``task`` is the task of the fire of this instant, if it exists;
    ``in_the_way`` says what is known of the task that the decision was ``behind``.
    ``breaks`` are those of the store's history.
    """

    config_id: str
    at_ms: int
    now_ms: int
    stored: StoredConfig | None
    decisions: Sequence[Decision] = ()
    kept_from_ms: int = _NO_LIMIT_MS
    fence: str | None = None
    task: Task | None = None
    in_the_way: Explanation | None = None
    breaks: Sequence[Break] = ()

    @property
    def decision(self) -> Decision | None:
        """The decision about this instant: the fire itself before any range that has it."""
        found = [decision for decision in self._spanning if _concerns(self, decision)]
        order = (Verdict.FIRED, Verdict.SKIPPED, Verdict.MISSED)
        return min(found, key=lambda d: (order.index(d.verdict), d.count), default=None)

    @property
    def passed_over(self) -> Decision | None:
        """A range whose ends lie around this instant, and that does not have it."""
        found = [decision for decision in self._spanning if not _concerns(self, decision)]
        return min(found, key=lambda d: d.last_ms - d.first_ms, default=None)

    @property
    def _spanning(self) -> list[Decision]:
        return [d for d in self.decisions if d.first_ms <= self.at_ms <= d.last_ms]

    @property
    def config(self) -> TaskConfig | None:
        """The config as it is now."""
        return None if self.stored is None else self.stored.config


def explain_config(facts: ConfigFacts) -> Explanation:
    """Why the config fired at ``at_ms``, or why it did not, or what is not known about that."""
    explanation = _explained(facts)
    decided_ms = None if facts.decision is None else facts.decision.at_ms
    told = told_of_instant(facts.breaks, facts.at_ms, decided_ms)
    return attrs.evolve(explanation, because=(*explanation.because, *told))


def _explained(facts: ConfigFacts) -> Explanation:
    decision = facts.decision
    if decision is not None and decision.reason == SkipReason.CALENDAR:
        return _with_neighbours(facts, _once_left_out(facts, decision))
    if decision is not None:
        told = explain_decision(decision, facts.config, facts.task, facts.in_the_way)
        return _with_neighbours(facts, told)
    if facts.task is not None:
        return _with_neighbours(facts, _uncollected(facts, facts.task))
    if facts.passed_over is not None:
        return _with_neighbours(facts, _never_due(facts, facts.passed_over))
    if facts.stored is None:
        return _without_config(facts)
    return _with_neighbours(facts, _undecided(facts, facts.stored))


def _concerns(facts: ConfigFacts, decision: Decision) -> bool:
    """Whether the instant is one of the decision's: a range also spans what lies between them."""
    at_ms, config = facts.at_ms, facts.config
    if at_ms in (decision.first_ms, decision.last_ms):
        return True
    if 1 <= decision.count <= 2:
        return False
    past = remembered(decision.trigger, decision.config_id) if decision.trigger else None
    if past is not None and decision.reason == SkipReason.CALENDAR:
        return past.left_out(at_ms) is not None
    if past is not None:
        return past.has(at_ms)
    if config is None:  # an old record, when ranges did not keep their trigger: not known
        return True
    return at_ms < config.updated_ms or not _plannable(config) or _is_instant(config, at_ms)


def _never_due(facts: ConfigFacts, decision: Decision) -> Explanation:
    """The time lies between the ends of a range, but is no instant of it."""
    text = rfc3339_ms(facts.at_ms)
    past = remembered(decision.trigger, decision.config_id) if decision.trigger else None
    days = None if past is None else past.left_out(facts.at_ms)
    if days is not None:
        return _left_out(facts, days)
    if past is None:
        why, note = "No instant lies between the ends of what is recorded there.", ""
    else:
        why = f"Its {past.words}, as it was then, has no instant there."
        note = "" if past.cron is None else clock_note(past.cron, facts.at_ms)
    around = f"Around it: {short(decision)}."
    summary = f"{facts.config_id} was never due at {text}."
    return _not_due(facts, summary, why, f"{note}." if note else "", around)


def _once_left_out(facts: ConfigFacts, decision: Decision) -> Explanation:
    """An instant that the calendar of a config left out, as the config was before a change."""
    past = remembered(decision.trigger, decision.config_id)
    days = None if past is None else past.left_out(facts.at_ms)
    told = _left_out(facts, days or LeftOut(calendar="of the config", day=""))
    then = f"So it was until the config was changed at {rfc3339_ms(decision.at_ms)}."
    return attrs.evolve(told, because=(*told.because, then), decision=decision)


def _left_out(facts: ConfigFacts, days: LeftOut) -> Explanation:
    did = "does" if facts.at_ms > facts.now_ms else "did"
    at = rfc3339_ms(facts.at_ms)
    return _not_due(
        facts,
        f"{facts.config_id} {did} not fire for {at}: left out by calendar {days}.",
        "Its trigger has an instant there, and its calendar leaves that day out.",
    )


def _answer(
    facts: ConfigFacts, verdict: Answer, summary: str, *because: str, task: Task | None = None
) -> Explanation:
    return Explanation(
        subject=facts.config_id,
        at_ms=facts.at_ms,
        verdict=verdict,
        summary=summary,
        because=tuple(text for text in because if text),
        task=task,
    )


def _uncollected(facts: ConfigFacts, task: Task) -> Explanation:
    return _answer(
        facts,
        Answer.FIRED,
        f"{facts.config_id} fired for {rfc3339_ms(facts.at_ms)}: its task is {task.id}.",
        f"The task is {task.status}.",
        "The record of the decision is not kept (any more, or not yet: the leader's collector "
        "makes it within a second or so).",
        task=task,
    )


def _without_config(facts: ConfigFacts) -> Explanation:
    summary = f"Nothing is recorded of {facts.config_id} at {rfc3339_ms(facts.at_ms)}."
    why = f"There is no config {facts.config_id}."
    if facts.decisions:
        why = f"There is no config {facts.config_id} any more."
    explanation = _answer(facts, Answer.UNKNOWN, summary, why, _horizon(facts), *_nearest(facts))
    return _with_neighbours(facts, explanation)


def _undecided(facts: ConfigFacts, stored: StoredConfig) -> Explanation:
    """An instant without any record, of a config that is there."""
    config, at_ms, text = stored.config, facts.at_ms, rfc3339_ms(facts.at_ms)
    if config.executor == UNREADABLE:
        return _answer(facts, Answer.UNKNOWN, f"The stored config {config.id} cannot be read.")
    if at_ms > facts.now_ms:
        return _to_come(facts, stored)
    if at_ms < config.created_ms:
        created = f"It was created at {rfc3339_ms(config.created_ms)}."
        return _not_due(facts, f"{config.id} was not there yet at {text}.", created)
    if at_ms < facts.kept_from_ms:
        summary = f"What {config.id} did at {text} is not known any more."
        return _answer(facts, Answer.UNKNOWN, summary, _horizon(facts))
    if stored.paused is not None and lies_in(stored.paused, at_ms):
        return _paused(facts, stored)
    if at_ms <= config.updated_ms:  # a put config is due only after the instant of the put
        return _not_due(
            facts,
            f"{config.id} had nothing due at {text}.",
            "Every instant that is due is recorded, fired or not, and nothing is recorded for it.",
            f"The config was last changed at {rfc3339_ms(config.updated_ms)}; what it was "
            "before is not kept.",
            *_nearest(facts),
        )
    return _by_plan(facts, stored)


def _by_plan(facts: ConfigFacts, stored: StoredConfig) -> Explanation:
    """Since its last change a config's instants are known: was this one of them?"""
    config, at_ms, text = stored.config, facts.at_ms, rfc3339_ms(facts.at_ms)
    if not config.enabled:
        return _not_due(facts, f"{config.id} is disabled: nothing was due at {text}.")
    owed = stored.due_ms is not None and stored.due_ms <= at_ms
    if owed and (stored.due_ms == at_ms or (_plannable(config) and _is_instant(config, at_ms))):
        return _overdue(facts)
    bounds = _bounds(config, at_ms)
    if bounds:
        return _not_due(facts, f"{config.id} had nothing due at {text}.", bounds)
    if config.fixed_delay is not None:
        why = "It is due a fixed delay after its last run ended; each such instant is recorded."
        return _not_due(facts, f"{config.id} had nothing due at {text}.", why, *_nearest(facts))
    if not _plannable(config):
        why = "Its instants cannot be planned here: an unknown time zone or trigger."
        return _answer(facts, Answer.UNKNOWN, f"Whether {text} was due is not known.", why)
    days = left_out(config, at_ms)
    if days is not None:
        return _left_out(facts, days)
    if not _is_instant(config, at_ms):
        why = f"Its {_trigger(config)} has no instant there."
        note = clock_words(config, at_ms)
        summary = f"{config.id} had nothing due at {text}."
        return _not_due(facts, summary, why, note, *_nearest(facts))
    return _answer(
        facts,
        Answer.UNKNOWN,
        f"{text} is an instant of {config.id}, and what was decided about it is not recorded yet.",
        "The leader's collector makes the record within a second or so, while somebody leads."
        if facts.fence is None
        else "The leader's collector makes the record within a second or so.",
        _leading(facts.fence),
    )


def _overdue(facts: ConfigFacts) -> Explanation:
    late_ms = facts.now_ms - facts.at_ms
    young = late_ms <= PATIENCE_MS
    summary = (
        f"{facts.config_id} is due for {rfc3339_ms(facts.at_ms)} since {span(late_ms)} and has not "
        "been fired yet."
    )
    return _answer(
        facts, Answer.PENDING if young else Answer.MISSED, summary, _leading(facts.fence)
    )


def _paused(facts: ConfigFacts, stored: StoredConfig) -> Explanation:
    pause, config = stored.paused, stored.config
    assert pause is not None  # noqa: S101 - the caller looked
    said, text = who_paused(pause), rfc3339_ms(facts.at_ms)
    if config.at is not None:
        kept = "Its one instant is kept, and goes by the misfire policy when it is resumed."
        return _not_due(facts, f"{config.id} was paused at {text}.", said, kept)
    if not _plannable(config) or not _is_instant(config, facts.at_ms):
        return _not_due(facts, f"{config.id} was paused at {text}.", said)
    later = "The instants of the pause are recorded as skipped when it ends."
    summary = f"{config.id} did not fire for {text}: it was paused."
    return _answer(facts, Answer.SKIPPED, summary, said, later)


def _to_come(facts: ConfigFacts, stored: StoredConfig) -> Explanation:
    config, text = stored.config, rfc3339_ms(facts.at_ms)
    if not config.enabled:
        return _not_due(facts, f"{config.id} is disabled: nothing will be due at {text}.")
    if stored.due_ms != facts.at_ms and not (
        _plannable(config) and _is_instant(config, facts.at_ms)
    ):
        days = left_out(config, facts.at_ms) if _plannable(config) else None
        if days is not None:
            return _left_out(facts, days)
        bounds, note = _bounds(config, facts.at_ms), clock_words(config, facts.at_ms)
        return _not_due(facts, f"{config.id} has nothing due at {text}.", bounds, note)
    asked = next((one for one in stored.skips if one.at_ms == facts.at_ms), None)
    if asked is not None:
        summary = f"{config.id} will not fire at {text}: an operator asked to skip it."
        return _answer(facts, Answer.SKIPPED, summary, f"{asked.who}: {asked.why}")
    away = span(facts.at_ms - facts.now_ms)
    summary, hindrance = f"{config.id} will be due at {text}, in {away}.", ""
    if stored.paused is not None and not lies_in(stored.paused, facts.at_ms):
        hindrance = f"{who_paused(stored.paused)} It resumes by itself before."
    elif stored.paused is not None:
        summary = f"{config.id} is paused; the instant {text} comes in {away}."
        fires = "It fires when resumed." if config.at else "It fires only if resumed before."
        hindrance = f"{who_paused(stored.paused)} {fires}"
    notes = (jitter_words(config, facts.at_ms), clock_words(config, facts.at_ms))
    return _answer(facts, Answer.PENDING, summary, hindrance, *notes, _leading(facts.fence))


def _not_due(facts: ConfigFacts, summary: str, *because: str) -> Explanation:
    return _answer(facts, Answer.NOT_DUE, summary, *because)


# --- what is said beside it -----------------------------------------------------------------------


def _leading(fence: str | None) -> str:
    if fence is None:
        return "No pod holds the leader lock."
    epoch, _, rest = fence.partition(":")
    # A pod that died holds it until it runs out: whether it still leads is not known here.
    return f"Pod {rest.rpartition(':')[2]} holds the leader lock (term {epoch})."


def _horizon(facts: ConfigFacts) -> str:
    if facts.kept_from_ms == _NO_LIMIT_MS:
        return ""
    return f"Decisions are kept from {rfc3339_ms(facts.kept_from_ms)} on."


def _nearest(facts: ConfigFacts) -> tuple[str, ...]:
    """The records on either side."""
    before, after = _around(facts)
    told = []
    if before is not None:
        told.append(f"Before that: {short(before)}.")
    if after is not None:
        told.append(f"After that: {short(after)}.")
    return tuple(told)


def _around(facts: ConfigFacts) -> tuple[Decision | None, Decision | None]:
    earlier = [d for d in facts.decisions if d.last_ms < facts.at_ms]
    later = [d for d in facts.decisions if d.first_ms > facts.at_ms]
    return (
        max(earlier, key=lambda d: d.last_ms, default=None),
        min(later, key=lambda d: d.first_ms, default=None),
    )


def _with_neighbours(facts: ConfigFacts, explanation: Explanation) -> Explanation:
    """The instants next to it: by the records, and since the last change by the plan."""
    before, after = _around(facts)
    before_ms = None if before is None else before.last_ms
    after_ms = None if after is None else after.first_ms
    stored = facts.stored
    if stored is not None and stored.config.enabled and _plannable(stored.config):
        config = stored.config
        since_ms = max(config.created_ms, config.updated_ms)
        planned = config_instants(config)
        last_ms = planned.last_before(facts.at_ms - 1, not_before_ms=since_ms + 1)
        before_ms = _latest(before_ms, last_ms)
        next_ms = planned.next_after(max(facts.at_ms, since_ms))
        after_ms = next_ms if after_ms is None or facts.at_ms >= since_ms else after_ms
    elif stored is not None and after_ms is None:
        due_ms = stored.due_ms
        after_ms = due_ms if due_ms is not None and due_ms > facts.at_ms else None
    return attrs.evolve(explanation, before_ms=before_ms, after_ms=after_ms)


def _latest(one: int | None, other: int | None) -> int | None:
    return max((ms for ms in (one, other) if ms is not None), default=None)


def _bounds(config: TaskConfig, at_ms: int) -> str:
    if config.start_at is not None and at_ms < to_ms(config.start_at):
        return f"It starts at {rfc3339_ms(to_ms(config.start_at))}."
    if config.end_at is not None and at_ms > to_ms(config.end_at):
        return f"It ended at {rfc3339_ms(to_ms(config.end_at))}."
    return ""


def _plannable(config: TaskConfig) -> bool:
    if config.fixed_delay is not None or config.executor == UNREADABLE:
        return False
    try:
        config_instants(config)
    except InvalidTriggerError:
        return False
    return True


def _is_instant(config: TaskConfig, at_ms: int) -> bool:
    return config_instants(config).count_between(at_ms, at_ms) > 0


def _trigger(config: TaskConfig) -> str:
    if config.cron_expr is not None:
        return f"cron expression {config.cron_expr!r} ({config.timezone})"
    return f"period of {config.every}" if config.every is not None else "one instant"
