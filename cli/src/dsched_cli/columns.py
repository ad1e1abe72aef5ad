"""Which columns a thing has when people read it, by noun."""

from collections.abc import Iterable, Mapping
from typing import Any

from dsched_cli.output import Column


def _config_state(record: Mapping[str, Any]) -> str:
    if record.get("orphaned"):
        return "orphaned"
    if record.get("paused"):
        return "paused"
    return "on" if record.get("enabled", True) else "off"


def _paused_by(record: Mapping[str, Any]) -> str | None:
    paused = record.get("paused")
    if not isinstance(paused, dict):
        return None
    return f"{paused.get('who', '')}: {paused.get('why', '')}"


def _paused_until(record: Mapping[str, Any]) -> str | None:
    paused = record.get("paused")
    return paused.get("until") if isinstance(paused, dict) else None


def _failures(record: Mapping[str, Any]) -> str | None:
    """How many failures in a row, of how many after which it pauses itself."""
    return _counted(record, "failures", "pause_after_failures")


def _fires(record: Mapping[str, Any]) -> str | None:
    """How often it has fired, of how often it may."""
    return _counted(record, "runs", "max_runs")


def _counted(record: Mapping[str, Any], name: str, most: str) -> str | None:
    counted, limit = record.get("counted"), (record.get("spec") or {}).get(most)
    if not isinstance(counted, dict) or limit is None:
        return None
    return f"{counted.get(name, 0)} of {limit}"


def _when(record: Mapping[str, Any]) -> str:
    """The trigger in a word: the expression and its zone, or the period."""
    entry = record.get("spec") or {}
    for key in ("cron_expr", "every", "fixed_delay", "at"):
        if entry.get(key) is not None:
            text = str(entry[key]) if key == "cron_expr" else f"{key} {entry[key]}"
            zone = entry.get("timezone", "UTC")
            return text if zone == "UTC" or key != "cron_expr" else f"{text} {zone}"
    return ""


def _took(record: Mapping[str, Any]) -> int | None:
    from datetime import datetime

    start, end = record.get("start_time"), record.get("end_time")
    if not isinstance(start, str) or not isinstance(end, str):
        return None
    return round(
        (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1e3
    )


def _last_line(record: Mapping[str, Any]) -> str | None:
    lines = [line for line in str(record.get("error") or "").splitlines() if line.strip()]
    return lines[-1].strip() if lines else None


def _progress(record: Mapping[str, Any]) -> str | None:
    found = record.get("progress")
    if not isinstance(found, dict):
        return None if found is None else str(found)
    done, total, note = found.get("done"), found.get("total"), found.get("note") or ""
    if done is None:
        return str(note) or None
    return f"{done}/{total} {note}".strip() if total else f"{done} {note}".strip()


def is_lost(worker: Mapping[str, Any]) -> bool:
    """Whether a worker is not heard of: it has missed a heartbeat, or been silent for its
    timeout."""
    return bool(worker.get("gone") or worker.get("silent"))


def worker_state(worker: Mapping[str, Any]) -> str:
    """What a worker does; that is unknown for one that is not heard of."""
    if worker.get("gone"):
        return "lost"
    return "silent" if worker.get("silent") else str(worker.get("status", ""))


def _success_rate(record: Mapping[str, Any]) -> str | None:
    rate = record.get("success_rate")
    return None if rate is None else f"{100 * float(rate):.1f}%"


def _where(record: Mapping[str, Any]) -> str | None:
    return record.get("home") or None


CONFIG = (
    Column("ID", "id"),
    Column("STATE", _config_state, kind="state"),
    Column("WHEN", _when),
    Column("DUE", "due", kind="time"),
    Column("LAST FIRED", "last_fired", kind="time"),
    Column("NAME", "name", wide=True),
    Column("EXECUTOR", "spec.executor", wide=True),
    Column("ORIGIN", "origin", wide=True),
    Column("REVISION", "revision", wide=True),
    Column("UPDATED", "updated", kind="time", wide=True),
    Column("PAUSED BY", _paused_by, wide=True),
    Column("PAUSED UNTIL", _paused_until, kind="time", wide=True),
    Column("FAILURES IN A ROW", _failures, wide=True),
    Column("FIRES COUNTED", _fires, wide=True),
)
TASK = (
    Column("ID", "id"),
    Column("STATUS", "status", kind="state"),
    Column("SCHEDULED", "scheduled_time", kind="time"),
    Column("TOOK", _took, kind="ms"),
    Column("ATTEMPT", "attempt", kind="number"),
    Column("REASON", "reason"),
    Column("HOME", _where, wide=True),
    Column("WORKER", "worker_id", wide=True),
    Column("START", "start_time", kind="time", wide=True),
    Column("END", "end_time", kind="time", wide=True),
    Column("RETRIES", "retry_count", kind="number", wide=True),
    Column("CRASHES", "crash_count", kind="number", wide=True),
    Column("PRIORITY", "priority", kind="number", wide=True),
    Column("PROGRESS", _progress, wide=True),
    Column("ERROR", "error", kind="block", wide=True),
)
ATTEMPT = (
    Column("ATTEMPT", "number", kind="number"),
    Column("HOW", "how", kind="state"),
    Column("WORKER", "worker_id"),
    Column("START", "start_time", kind="time"),
    Column("TOOK", _took, kind="ms"),
    Column("CODE", "code"),
    Column("ERROR", _last_line),
)
WORKER = (
    Column("ID", "id"),
    Column("STATUS", worker_state, kind="state"),
    Column("RUNNING", "running", kind="number"),
    Column("QUEUED", "queued", kind="number"),
    Column("CAPACITY", "capacity", kind="number"),
    Column("OWN", "own_capacity", kind="number"),
    Column("RESIZED TO", "resized_to", kind="number"),
    Column("LAST HEARTBEAT", "last_heartbeat", kind="time"),
    Column("LABELS", "labels", wide=True),
    Column("ADDRESS", "address", wide=True),
    Column("INCARNATION", "incarnation", wide=True),
)
DECISION = (
    Column("FIRST", "first", kind="time"),
    Column("LAST", "last", kind="time", wide=True),
    Column("VERDICT", "verdict", kind="state"),
    Column("COUNT", "count", kind="number"),
    Column("REASON", "reason"),
    Column("LATE", "late_ms", kind="ms"),
    Column("TASK", "task_id", wide=True),
    Column("WORKER", "worker_id", wide=True),
    Column("TERM", "term", wide=True),
    Column("DETAIL", "detail"),
)
AUDIT = (
    Column("AT", "at", kind="time"),
    Column("PRINCIPAL", "principal"),
    Column("ACTION", "action"),
    Column("OBJECT", "object"),
    Column("OUTCOME", "outcome", kind="state"),
    Column("COUNT", "count", kind="number"),
    Column("REASON", "reason"),
    Column("BEFORE", "before", wide=True),
    Column("AFTER", "after", wide=True),
)
TOKEN = (
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("SCOPE", "scope"),
    Column("CREATED", "created", kind="time"),
    Column("EXPIRES", "expires", kind="time"),
)
PLUGIN = (
    Column("KIND", "kind"),
    Column("NAME", "name"),
    Column("DISTRIBUTION", "distribution"),
    Column("VERSION", "version"),
)
BUCKET = (
    Column("START", "start", kind="time"),
    Column("CONFIG", "config_id"),
    Column("RUNS", "runs", kind="number"),
    Column("SUCCESS", "success", kind="number"),
    Column("FAILED", "failed", kind="number"),
    Column("RATE", _success_rate, kind="number"),
    Column("CANCELLED", "cancelled", kind="number", wide=True),
    Column("RETRIES", "retries", kind="number"),
    Column("SKIPPED", "skipped", kind="number"),
    Column("MISSED", "missed", kind="number"),
    Column("WAIT P50", "wait_ms.p50", kind="ms", wide=True),
    Column("WAIT P99", "wait_ms.p99", kind="ms"),
    Column("RUN P50", "run_ms.p50", kind="ms"),
    Column("RUN P95", "run_ms.p95", kind="ms"),
    Column("RUN P99", "run_ms.p99", kind="ms", wide=True),
    Column("RUN MAX", "run_ms.max", kind="ms", wide=True),
)
BUCKET_OF_WORKER = (
    Column("WORKER", "worker_id"),
    *(one for one in BUCKET if one.source not in ("config_id", "skipped", "missed")),
)
LOG_LINE = (
    Column("N", "n", kind="number"),
    Column("AT", "at", kind="time"),
    Column("ATTEMPT", "attempt", kind="number"),
    Column("LEVEL", "level", kind="state"),
    Column("LINE", "line"),
)
TERM = (
    Column("EPOCH", "epoch"),
    Column("POD", "pod"),
    Column("BEGAN", "began", kind="time"),
    Column("ENDED", "ended", kind="time"),
    Column("HOW", "how"),
    Column("WHO", "who", wide=True),
    Column("WHY", "why", wide=True),
)
POD = (
    Column("NAME", "name"),
    Column("ROLES", lambda record: ",".join(map(str, record.get("roles") or []))),
    Column("VERSION", "version"),
    Column("LEADING", "leading"),
    Column("READY", "ready"),
    Column("DRAINING", "draining", wide=True),
    Column("STARTED", "started", kind="time"),
    Column("SEEN", "seen", kind="time", wide=True),
    Column("ID", "id", wide=True),
)
SKIP = (
    Column("SKIPPED", "skipped", kind="number"),
    Column("FIRST", "first", kind="time"),
    Column("LAST", "last", kind="time"),
)
BACKFILL = (
    Column("COUNT", "count", kind="number"),
    Column("DONE", "done"),
    Column("INSTANTS", lambda record: ", ".join(map(str, record.get("instants") or []))),
    Column("TASKS", lambda record: ", ".join(map(str, record.get("tasks") or []))),
)
BULK_PLAN = (
    Column("FOUND", lambda record: f"{record['found']}{'' if record['found_all'] else ' or more'}"),
    Column("CONFIGS", "by_config"),
    Column("FIRST", lambda record: ", ".join(map(str, record.get("first") or []))),
)
BULK = (
    Column("ID", "id"),
    Column("ACT", "act"),
    Column("STATE", "state", kind="state"),
    Column("OF", "config"),
    Column("DONE", "done", kind="number"),
    Column("SKIPPED", "skipped", kind="number"),
    Column("FAILED", "failed", kind="number"),
    Column("LEFT", "left", kind="number"),
    Column("MADE", "made", kind="time"),
    Column("REASON", "reason"),
    Column("BY", "by", wide=True),
    Column("STATUS", "status", wide=True),
    Column("LABELS", "labels", wide=True),
    Column("OWNER", "owner", wide=True),
    Column("SINCE", "since", kind="time", wide=True),
    Column("BEFORE", "before", kind="time", wide=True),
    Column("CONFIGS", "configs", kind="number", wide=True),
    Column("FOUND", "found", kind="number", wide=True),
    Column("RATE", "rate", wide=True),
    Column("BEGUN", "begun", kind="time", wide=True),
    Column("ENDED", "ended", kind="time", wide=True),
    Column("STOPPED BY", "stopped_by", wide=True),
    Column("WHY STOPPED", "stop_reason", wide=True),
    Column("NOTE", "note", wide=True),
)
BULK_EXAMPLE = (Column("TASK", "task"), Column("LEFT ALONE BECAUSE IT", "why"))


def names_of(pods: Iterable[Mapping[str, Any]]) -> str:
    """Pods in words: name and version of each."""
    return ", ".join(f"{pod.get('name')} ({pod.get('version')})" for pod in pods)
