"""What entries of the event log are alerts about; pure."""

from collections.abc import Iterator, Mapping

from dsched.contracts import Event
from dsched.model import JsonValue, config_of
from dsched_alerts.alert import Alert, Kind

Item = Mapping[str, JsonValue]

MAX_REASON = 300


def alerts_of(event: Event) -> Iterator[Alert]:
    """The alerts in an entry, thresholds aside. Entries of unknown kinds have none."""
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
        case "missed":
            return _missed(event, item, at)
        case "skipped" if item.get("reason") == "misfire":
            return _dropped(event, item, at)
        case "leaderless":
            return _leaderless(event, item, at)
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


def _missed(event: Event, item: Item, at: str) -> Alert:
    config, late_ms = str(item["config"]), item["late"]
    led = bool(item.get("term"))
    why = "its leader has not fired it" if led else "nobody leads"
    return Alert(
        id=f"{Kind.MISSED}:{at}",
        kind=Kind.MISSED,
        key=f"{Kind.MISSED}:{config}",
        at_ms=event.at_ms,
        summary=f"{config} is overdue by {late_ms / 1000:.1f} s: {why}",
        config_id=config,
        reason="unfired" if led else "leaderless",
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


def _leaderless(event: Event, item: Item, at: str) -> Alert:
    idle_ms = item["idle"]
    return Alert(
        id=f"{Kind.LEADERLESS}:{at}",
        kind=Kind.LEADERLESS,
        key=str(Kind.LEADERLESS),
        at_ms=event.at_ms,
        summary=f"nobody led for {idle_ms / 1000:.1f} s: nothing fired in that time",
        value=idle_ms,
    )
