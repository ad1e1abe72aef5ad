"""What notices and entries of the event log are alerts about, thresholds aside; pure."""

from collections.abc import Iterator, Mapping

from dsched.contracts import Event, LogEntry, Notice
from dsched.contracts.observer import (
    HistoryBroken,
    InstantsMissed,
    InvariantViolated,
    NobodyLeads,
    StoreWrites,
)
from dsched.contracts.store.history import Loss
from dsched.model import BY_ITSELF, JsonValue, config_of, paused_as_meant
from dsched_alerts.alert import RESOLVED, Alert, Kind

Item = Mapping[str, JsonValue]

MAX_REASON = 300


def alerts_of(notice: Notice, now_ms: int) -> Iterator[Alert]:
    """The alerts in a notice that tells of something that happened; others have none."""
    match notice:
        case LogEntry(event=event):
            yield from _in_entry(event)
        case InstantsMissed():
            yield from (_missed(notice, config, due) for config, due in _overdue(notice))
        case NobodyLeads():
            yield _leaderless(notice, now_ms)
        case StoreWrites():
            yield _store_writes(notice, now_ms)
        case HistoryBroken():
            yield _broken(notice, now_ms)
        case InvariantViolated():
            yield _defect(notice, now_ms)


def _overdue(notice: InstantsMissed) -> Iterator[tuple[str, int]]:
    for one in notice.missed:
        yield one.config_id, one.due_ms


def _missed(notice: InstantsMissed, config: str, due_ms: int) -> Alert:
    late_ms = notice.now_ms - due_ms
    why = "its leader has not fired it" if notice.epoch else "nobody leads"
    return Alert(
        id=f"{Kind.MISSED}:{config}:{due_ms}",
        kind=Kind.MISSED,
        key=f"{Kind.MISSED}:{config}",
        at_ms=notice.now_ms,
        summary=f"{config} is overdue by {late_ms / 1000:.1f} s: {why}",
        config_id=config,
        reason="unfired" if notice.epoch else "leaderless",
        value=late_ms,
    )


def _leaderless(notice: NobodyLeads, now_ms: int) -> Alert:
    return Alert(
        id=f"{Kind.LEADERLESS}:{notice.pod}:{now_ms}",
        kind=Kind.LEADERLESS,
        key=str(Kind.LEADERLESS),
        at_ms=now_ms,
        summary=f"nobody has led for {notice.idle_s:g} s, says pod {notice.pod}: nothing is fired "
        "or dispatched",
        reason=notice.pod,
        value=notice.idle_s * 1000,
    )


def _store_writes(notice: StoreWrites, now_ms: int) -> Alert:
    """One from each pod: pods could agree on one only through the store, which takes no writes."""
    kind = Kind.STORE_READ_ONLY
    if notice.taken:
        return Alert(
            id=f"{kind}:{RESOLVED}:{notice.pod}:{now_ms}",
            kind=kind,
            key=f"{kind}:{RESOLVED}:{notice.pod}",
            at_ms=now_ms,
            summary=f"the store takes writes of pod {notice.pod} again, after "
            f"{notice.lasted_s:.0f} s",
            state=RESOLVED,
            value=notice.lasted_s * 1000,
        )
    return Alert(
        id=f"{kind}:{notice.pod}:{now_ms}",
        kind=kind,
        key=f"{kind}:{notice.pod}",
        at_ms=now_ms,
        summary=f"the store takes no writes, says pod {notice.pod}: {notice.words[:MAX_REASON]}",
        reason=notice.reason,
    )


_LOSSES = {
    Loss.RESTORED: "the store is an older state of itself, such as a backup",
    Loss.REPLACED: "the store was emptied and made anew, or another took its place",
    Loss.EMPTIED: "the store was emptied: nothing is fired or run until a backup is in its place",
    Loss.DECLARED: "a backup was put in the store's place",
}


def _broken(notice: HistoryBroken, now_ms: int) -> Alert:
    return _loss(notice.loss, notice.generation, notice.pod, now_ms)


def _declared(event: Event, item: Item) -> Alert:
    """What an operator declared; pods tell by themselves, and sooner, what they see."""
    return _loss(Loss.DECLARED, item["generation"], event.by, event.at_ms)


def _loss(loss: Loss, generation: int, by: str, at_ms: int) -> Alert:
    which = f"{generation}" if generation else f"{loss}:{by}:{at_ms}"
    return Alert(
        id=f"{Kind.HISTORY}:{which}",
        kind=Kind.HISTORY,
        key=f"{Kind.HISTORY}:{loss}",
        at_ms=at_ms,
        summary=f"the history of the store is broken: {_LOSSES[loss]}; what happened meanwhile may "
        f"be forgotten, and may happen again (noticed by {by})",
        reason=loss.value,
        value=generation,
    )


def _defect(notice: InvariantViolated, now_ms: int) -> Alert:
    return Alert(
        id=f"{Kind.DEFECT}:{notice.name}:{now_ms}",
        kind=Kind.DEFECT,
        key=f"{Kind.DEFECT}:{notice.name}",
        at_ms=now_ms,
        summary=f"invariant {notice.name} is violated, a defect of dsched or of its store: "
        f"{notice.detail[:MAX_REASON]}",
        reason=notice.name,
    )


def _in_entry(event: Event) -> Iterator[Alert]:
    for index, item in enumerate(event.items):
        found = _alert(event, item, f"{event.cursor}:{index}")
        if found is not None:
            yield found


def _alert(event: Event, item: Item, at: str) -> Alert | None:
    match str(event.kind):
        case "completed" | "reaped" | "released":
            return _ended(event, item, at)
        case "fired":
            return _late(event, item, at)
        case "skipped" if item.get("reason") == "misfire":
            return _dropped(event, item, at)
        case "config" if item.get("who") == BY_ITSELF and not paused_as_meant(str(item["why"])):
            return _paused(event, item, at)
        case "leaderless":
            return _led_again(event, item, at)
        case "history" if item.get("loss") == Loss.DECLARED:
            return _declared(event, item)
    return None


def _ended(event: Event, item: Item, at: str) -> Alert | None:
    """A task that ended failed; or an attempt that failed, and the task is tried again."""
    status, kind = item.get("status"), str(event.kind)
    task_id, attempt = str(item["task"]), item.get("attempt")
    words = dict.fromkeys(str(item[key]) for key in ("code", "reason") if item.get(key))
    reason = ", ".join(words)[:MAX_REASON]
    if status == "failed":
        alert, what = Kind.FAILED, "failed"
    elif kind == "reaped" and status in ("pending", "retrying"):
        alert, what, reason = Kind.ATTEMPT_FAILED, "lost its worker and runs again", "crash"
    elif kind == "completed" and status == "retrying":
        alert, what = Kind.ATTEMPT_FAILED, f"failed in attempt {attempt} and is tried again"
    else:
        return None
    about = config_of(task_id) or ""
    of = f" of {about}" if about else ""
    return Alert(
        id=f"{alert}:{at}",
        kind=alert,
        key=f"{alert}:{about or task_id}",
        at_ms=event.at_ms,
        summary=f"task {task_id}{of} {what}" + (f": {reason}" if reason else ""),
        config_id=about,
        task_id=task_id,
        worker_id=str(item.get("worker") or ""),
        reason=reason,
        value=item.get("run"),
    )


def _late(event: Event, item: Item, at: str) -> Alert:
    config, late_ms = str(item["config"]), item["late"]
    return Alert(
        id=f"{Kind.LATE}:{at}",
        kind=Kind.LATE,
        key=f"{Kind.LATE}:{config}",
        at_ms=event.at_ms,
        summary=f"{config} fired {late_ms / 1000:.1f} s late",
        config_id=config,
        task_id=str(item.get("task") or ""),
        value=late_ms,
    )


def _dropped(event: Event, item: Item, at: str) -> Alert:
    config, count = str(item["config"]), item["count"]
    return Alert(
        id=f"{Kind.MISSED}:{at}",
        kind=Kind.MISSED,
        key=f"{Kind.MISSED}:{config}",
        at_ms=event.at_ms,
        summary=f"{config} missed {count} {'runs' if count > 1 else 'run'} for good: its misfire "
        "policy dropped what came too late",
        config_id=config,
        reason="misfire",
        value=count,
    )


def _paused(event: Event, item: Item, at: str) -> Alert:
    """A config that has paused itself; one that was to fire only so often has done its work."""
    config, why = str(item["config"]), str(item["why"])[:MAX_REASON]
    return Alert(
        id=f"{Kind.PAUSED}:{at}",
        kind=Kind.PAUSED,
        key=f"{Kind.PAUSED}:{config}",
        at_ms=event.at_ms,
        summary=f"{config} has paused itself, and does not fire until it is resumed: {why}",
        config_id=config,
        reason=why,
    )


def _led_again(event: Event, item: Item, at: str) -> Alert:
    """The collector that reads this is a leader's, so the time without one is over."""
    return Alert(
        id=f"{Kind.LEADERLESS}:{at}",
        kind=Kind.LEADERLESS,
        key=f"{Kind.LEADERLESS}:{RESOLVED}",
        at_ms=event.at_ms,
        summary="a pod leads again: what was overdue is caught up by the policy of each config",
        state=RESOLVED,
        value=item["idle"],
    )
