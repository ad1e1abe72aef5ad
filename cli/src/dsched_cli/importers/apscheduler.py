"""The jobs of an APScheduler 3 scheduler; it need not run."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dsched.model import CronTrigger
from dsched.planning import InvalidTriggerError, compile_trigger
from dsched_cli.importers import fields
from dsched_cli.importers.modules import call_of, span_text, zone_name
from dsched_cli.importers.result import Imported

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905 - as one reads
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NUMBERS = {"1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5}
_DEFAULTS: Mapping[str, Any] = {"misfire_grace_time": 1, "coalesce": True, "max_instances": 1}


class _CannotError(Exception):
    """What a trigger says has no word in dsched."""


def read_apscheduler(scheduler: Any) -> Imported:
    """Each job as a call of a function named like its reference, ``module:function``."""
    found = Imported()
    defaults = {**_DEFAULTS, **getattr(scheduler, "_job_defaults", {})}
    _stores(found, scheduler)
    for job in scheduler.get_jobs():
        where = f"job {job.id!r}"
        try:
            trigger = _trigger(job.trigger)
        except _CannotError as error:
            found.leave_out(where, str(error))
            continue
        if not job.func_ref:
            found.leave_out(where, "its function cannot be named (a lambda or a closure)")
            continue
        _job(found, job, where=where, trigger=trigger, defaults=defaults)
    if found.entries:
        found.notes.append(
            "each payload names a function as module:function: register it with @dsched.task under "
            "that name"
        )
    return found


def _stores(found: Imported, scheduler: Any) -> None:
    """Report stores whose jobs a scheduler shows only once it has started."""
    if getattr(scheduler, "state", 0) != 0:
        return
    for alias, store in getattr(scheduler, "_jobstores", {}).items():
        kind = type(store).__name__
        if kind != "MemoryJobStore":
            found.cannot(
                f"job store {alias!r}",
                f"what a {kind} keeps is read only after scheduler.start(paused=True)",
            )


def _job(
    found: Imported, job: Any, *, where: str, trigger: dict[str, Any], defaults: Mapping[str, Any]
) -> None:
    call = call_of(
        found, where, name=str(job.func_ref), function=job.func, args=job.args, kwargs=job.kwargs
    )
    entry = {**trigger, **call}
    if job.name and job.name not in (job.func_ref, getattr(job.func, "__name__", "")):
        entry["name"] = str(job.name)[:200]
    entry |= _policies(found, job, where, defaults)
    # What never ran has no next time yet; only an explicit None is a pause.
    if getattr(job, "next_run_time", ...) is None:
        entry["enabled"] = False
    if getattr(job, "executor", "default") != "default":
        found.cannot(
            where, f"executor {job.executor!r}: choose it where the function is registered"
        )
    # An id made up by APScheduler says nothing; the function's name does.
    made_up = len(job.id) == 32 and all(char in "0123456789abcdef" for char in job.id)
    found.add(str(job.func_ref).rpartition(":")[2] if made_up else job.id, entry)


def _policies(found: Imported, job: Any, where: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Grace, coalescing and instances; a job that is not scheduled yet has the defaults."""

    def of(name: str) -> Any:
        return getattr(job, name, defaults[name])

    entry: dict[str, Any] = {"timeout": "1d", "retry": {"max_retries": 0}}
    grace_s, coalesce, most = of("misfire_grace_time"), of("coalesce"), of("max_instances")
    if grace_s is None and not coalesce:
        found.cannot(
            where, "no coalescing, without a limit: the latest 100 missed instants are made up for"
        )
    if grace_s is None:
        entry["misfire"] = "fire_once" if coalesce else "fire_all"
    else:
        entry |= {"misfire": "skip", "misfire_grace": span_text(grace_s)}
    if most == 1 and entry.get("misfire") == "fire_all":
        entry["overlap"] = "queue_all"
    if most != 1:
        entry["overlap"] = "allow"
        found.cannot(where, f"max_instances {most}: dsched runs one at a time, or any number")
    return entry


def _trigger(trigger: Any) -> dict[str, Any]:
    kind = type(trigger).__name__
    if kind == "DateTrigger":
        return {"at": trigger.run_date.isoformat(timespec="milliseconds")}
    if kind == "IntervalTrigger":
        entry: dict[str, Any] = {"every": span_text(trigger.interval.total_seconds())}
        # A start in the file keeps the beat; without one it would count from the first put.
        entry |= {"start_at": trigger.start_date.isoformat(timespec="milliseconds")}
    elif kind == "CronTrigger":
        entry = _cron(trigger)
    else:
        raise _CannotError(f"a {kind} has no word in dsched")
    if kind == "IntervalTrigger" and trigger.interval.total_seconds() < 1:
        every = f"{trigger.interval.total_seconds():g} s"
        raise _CannotError(f"runs every {every}; 1 s is the least")
    if isinstance(trigger.end_date, datetime):
        entry["end_at"] = trigger.end_date.isoformat(timespec="milliseconds")
    if getattr(trigger, "jitter", None):
        entry["jitter"] = span_text(trigger.jitter)
    return entry


def _cron(trigger: Any) -> dict[str, Any]:
    text = {field.name: str(field) for field in trigger.fields}
    for name in ("year", "week"):
        if text[name] != "*":
            raise _CannotError(f"{name} {text[name]!r} has no word in dsched")
    if text["day"] != "*" and text["day_of_week"] != "*":
        raise _CannotError("day and day_of_week must both match here; cron takes either")
    days, nth = _days(text["day"])
    week = _field(text["day_of_week"], (0, 6), _WEEKDAYS)
    weekdays = nth or fields.field_text({(day + 1) % 7 for day in week}, fields.WEEKDAY)
    plain = [
        fields.field_text(_field(text[name], bounds, names), bounds)
        for name, bounds, names in (
            ("second", fields.SECOND, ()),
            ("minute", fields.MINUTE, ()),
            ("hour", fields.HOUR, ()),
            ("month", fields.MONTH, _MONTHS),
        )
    ]
    expression = " ".join([*plain[:3], days, plain[3], weekdays]).removeprefix("0 ")
    zone = zone_name(trigger.timezone)
    if zone is None:
        raise _CannotError(f"{trigger.timezone} is no zone of the IANA database")
    try:
        compile_trigger(CronTrigger(expression=expression, timezone=zone))
    except InvalidTriggerError as error:
        raise _CannotError(f"{error.field}: {error.reason}") from error
    entry: dict[str, Any] = {"cron_expr": expression}
    if zone != "UTC":
        entry["timezone"] = zone
    if isinstance(trigger.start_date, datetime):
        entry["start_at"] = trigger.start_date.isoformat(timespec="milliseconds")
    return entry


def _days(text: str) -> tuple[str, str]:
    """Days of the month, or ``2nd mon`` and the like as days of the week."""
    if text == "*":
        return "*", ""
    plain, days, nth = [], [], []
    for term in text.split(","):
        number, _, weekday = term.strip().partition(" ")
        if term == "last":
            days.append("L")
        elif weekday in _WEEKDAYS:
            day = (_WEEKDAYS.index(weekday) + 1) % 7
            nth.append(f"{day}L" if number == "last" else f"{day}#{_NUMBERS[number]}")
        else:
            plain.append(term)
    if plain:
        days.insert(0, fields.field_text(_field(",".join(plain), fields.DAY, ()), fields.DAY))
    if days and nth:
        # Either of them fires in APScheduler, and so it does when cron is given both.
        return ",".join(days), ",".join(nth)
    return (",".join(days) or "*"), ",".join(nth)


def _field(text: str, bounds: tuple[int, int], names: Any) -> set[int]:
    """The values of ``*``, ``*/5``, ``1-5``, ``8-17/2``, names and lists of them."""
    low, high = bounds
    found: set[int] = set()
    for term in text.split(","):
        head, _, step = term.strip().partition("/")
        first, _, last = head.partition("-")
        start = low if first == "*" else _number(first, low, names)
        # APScheduler takes an open step (5/10) as a range to the end.
        end = high if first == "*" or (step and not last) else start
        if last:
            end = _number(last, low, names)
        found.update(range(start, end + 1, int(step or 1)))
    return found


def _number(text: str, low: int, names: Any) -> int:
    return list(names).index(text) + low if text in names else int(text)
