"""What a recorded decision says, in sentences."""

from datetime import timedelta

from dsched.explaining.explanation import Answer, Explanation
from dsched.explaining.words import plural, span
from dsched.model import (
    CronTrigger,
    Decision,
    MissReason,
    SkipReason,
    Task,
    TaskConfig,
    Verdict,
    rfc3339_ms,
)
from dsched.planning import clock_note, jitter_ms

LATE_MS = 1000
SHOWN_OF_ANOTHER = 2  # sentences about a task that stands in the way


def short(decision: Decision) -> str:
    """A decision in a few words."""
    at = rfc3339_ms(decision.first_ms)
    match decision.verdict:
        case Verdict.FIRED:
            ended = f", its task ended {decision.ended}" if decision.ended else ""
            return f"{at} fired, {span(decision.late_ms)} late{ended}"
        case Verdict.MISSED:
            return f"{at} was missed ({decision.reason})"
    if decision.count == 0 and decision.reason == SkipReason.CALENDAR:
        return f"{at} to {rfc3339_ms(decision.last_ms)} its calendar left days out"
    if decision.count == 0:
        return f"{at} to {rfc3339_ms(decision.last_ms)} nothing was due: it was disabled"
    if decision.count == 1:
        return f"{at} was skipped ({decision.reason})"
    last = rfc3339_ms(decision.last_ms)
    return f"{plural(decision.count, 'instant')} from {at} to {last} skipped ({decision.reason})"


def explain_decision(
    decision: Decision,
    config: TaskConfig | None,
    task: Task | None,
    in_the_way: Explanation | None = None,
) -> Explanation:
    """What was decided, by whom, why, and what became of it.

    ``in_the_way`` explains the live task because of which the overlap policy skipped it, if known.
    """
    match decision.verdict:
        case Verdict.FIRED:
            return _fired(decision, config, task)
        case Verdict.SKIPPED if decision.count == 0:
            return _disabled(decision)
        case Verdict.SKIPPED:
            return _skipped(decision, config, in_the_way)
        case Verdict.MISSED:
            return _missed(decision)


def _fired(decision: Decision, config: TaskConfig | None, task: Task | None) -> Explanation:
    late = decision.late_ms > LATE_MS or decision.missed_at_ms is not None
    summary = (
        f"{decision.config_id} fired for {rfc3339_ms(decision.first_ms)}, "
        f"{span(decision.late_ms)} late"
    )
    if decision.ended:
        summary += f"; its task ended {decision.ended}"
    because = [f"The leader of term {decision.term} decided it at {rfc3339_ms(decision.at_ms)}."]
    if decision.missed_at_ms is not None:
        because.append(f"It had been reported missed at {rfc3339_ms(decision.missed_at_ms)}.")
    if decision.detail:
        because.append(f"Its task was {decision.detail}.")
    because += _moved_by(decision, config)
    because.append(_where(decision, task))
    if decision.ended == "cancelled: expired":
        limit = "" if config is None or config.start_deadline is None else _of(config)
        because.append(f"The task was not started within its start_deadline{limit}.")
    elif decision.ended:
        because.append(f"The task ended {decision.ended}.")
    elif task is not None:
        because.append(f"The task is {task.status}" + (f": {task.reason}." if task.reason else "."))
    return Explanation(
        subject=decision.config_id,
        at_ms=decision.first_ms,
        verdict=Answer.LATE if late else Answer.FIRED,
        summary=summary + ".",
        because=tuple(because),
        decision=decision,
        task=task,
    )


def _of(config: TaskConfig) -> str:
    assert config.start_deadline is not None  # noqa: S101 - the caller looked
    return f" of {span(config.start_deadline // timedelta(milliseconds=1))}"


def _where(decision: Decision, task: Task | None) -> str:
    worker_id = decision.worker_id or (task.worker_id if task is not None else None)
    if worker_id is None:
        return f"Task {decision.task_id} has not been sent to a worker."
    why = f", chosen by {decision.worker_why}" if decision.worker_why else ""
    return f"Task {decision.task_id} was sent to worker {worker_id}{why}."


def _moved_by(decision: Decision, config: TaskConfig | None) -> list[str]:
    """What jitter and clock changes did to the instant, by the config that fired it."""
    if config is None or config.updated_ms > decision.at_ms:
        return []
    told = jitter_words(config, decision.first_ms)
    note = clock_words(config, decision.first_ms)
    return [text for text in (told, note) if text]


def jitter_words(config: TaskConfig, at_ms: int) -> str:
    """What the jitter of a config does to an instant of it; empty if it has none."""
    wait_ms = jitter_ms(config.id, at_ms, config.jitter)
    if not wait_ms:
        return ""
    most = span(config.jitter // timedelta(milliseconds=1))
    return (
        f"Its jitter (up to {most}) holds its task back for {span(wait_ms)}: until "
        f"{rfc3339_ms(at_ms + wait_ms)}."
    )


def clock_words(config: TaskConfig, at_ms: int) -> str:
    """What a clock change does to an instant of a config, or near it; empty if nothing."""
    trigger = config.trigger
    note = clock_note(trigger, at_ms) if isinstance(trigger, CronTrigger) else ""
    return f"{note}." if note else ""


def _disabled(decision: Decision) -> Explanation:
    first, last = rfc3339_ms(decision.first_ms), rfc3339_ms(decision.last_ms)
    over = f"It was disabled over its instants from {first} to {last}"
    return Explanation(
        subject=decision.config_id,
        at_ms=decision.first_ms,
        verdict=Answer.NOT_DUE,
        summary=f"{decision.config_id} had nothing due: it was disabled then.",
        because=(f"{over}, until it was changed at {rfc3339_ms(decision.at_ms)}.",),
        decision=decision,
    )


def _skipped(
    decision: Decision, config: TaskConfig | None, in_the_way: Explanation | None
) -> Explanation:
    first, last = rfc3339_ms(decision.first_ms), rfc3339_ms(decision.last_ms)
    what = first
    if decision.count > 1:
        what = f"the {plural(decision.count, 'instant')} from {first} to {last}"
    because = [_skip_reason(decision, config), *_behind(decision, in_the_way)]
    if decision.term:
        because.append(
            f"The leader of term {decision.term} decided it at {rfc3339_ms(decision.at_ms)}."
        )
    else:
        because.append(f"It was recorded at {rfc3339_ms(decision.at_ms)}, with that change.")
    if decision.missed_at_ms is not None:
        because.append(f"It had been reported missed at {rfc3339_ms(decision.missed_at_ms)}.")
    return Explanation(
        subject=decision.config_id,
        at_ms=decision.first_ms,
        verdict=Answer.SKIPPED,
        summary=f"{decision.config_id} did not fire for {what}: {decision.reason}.",
        because=tuple(because),
        decision=decision,
    )


def _behind(decision: Decision, in_the_way: Explanation | None) -> list[str]:
    """The task that was in the way, and what became of it or what it waits for."""
    if decision.behind is None:
        return []
    told = f"Task {decision.behind} was in the way"
    if in_the_way is None:
        return [told + "; it is not kept any more."]
    return [told + ".", in_the_way.summary, *in_the_way.because[:SHOWN_OF_ANOTHER]]


def _skip_reason(decision: Decision, config: TaskConfig | None) -> str:
    by = f" by {decision.detail}" if decision.detail else ""
    match decision.reason:
        case SkipReason.MISFIRE:
            policy = ""
            if config is not None:
                grace = span(config.misfire_grace // timedelta(milliseconds=1))
                policy = f" (now {grace}), and its policy (now {config.misfire}) drops it"
            return f"It was missed by more than its misfire_grace{policy}."
        case SkipReason.OVERLAP:
            return (
                "An earlier task of the config was still live, and its overlap policy lets no "
                "more wait."
            )
        case SkipReason.EDITED:
            return "It was due and not fired when the config was changed."
        case SkipReason.PAUSED:
            return f"The config was paused{by}, then or before the instant was fired."
        case SkipReason.OPERATOR:
            return f"It was to be skipped, as asked for{by}."
        case SkipReason.DELETED:
            return "It was due and not fired when the config was deleted."
        case SkipReason.DISABLED:
            return "It was due and not fired when the config was disabled."
    return f"The recorded reason is {decision.reason!r}."


def _missed(decision: Decision) -> Explanation:
    led = decision.reason != MissReason.LEADERLESS
    because = (
        f"The leader of term {decision.term} held the lock and had not fired it."
        if led
        else "No pod held the leader lock."
    )
    return Explanation(
        subject=decision.config_id,
        at_ms=decision.first_ms,
        verdict=Answer.MISSED,
        summary=(
            f"{decision.config_id} was due for {rfc3339_ms(decision.first_ms)} and nobody "
            f"had fired it {span(decision.late_ms)} later."
        ),
        because=(because, f"A follower reported it at {rfc3339_ms(decision.at_ms)}."),
        decision=decision,
    )
