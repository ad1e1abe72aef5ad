"""The beat schedule of a Celery app. Celery itself is the user's; nothing here imports it by
name."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from dsched.model import CronTrigger
from dsched.planning import InvalidTriggerError, compile_trigger
from dsched_cli.importers import fields
from dsched_cli.importers.celery_options import entry_options, settings_of
from dsched_cli.importers.modules import call_of, span_text, zone_name
from dsched_cli.importers.result import Imported

# Beat sends a task whether or not the last run has ended, and once after a standstill.
_HABITS: Mapping[str, Any] = {"overlap": "allow", "misfire": "fire_once"}
# An early acknowledgement, as is Celery's default: nothing knows of a run once its worker has died.
_LOST_WITH_ITS_WORKER = (
    "Celery runs a task whose worker died again only with acks_late; dsched does, "
    "unless `on_crash: fail` says otherwise"
)
_FULL_DAYS, _FULL_WEEK = set(range(1, 32)), set(range(7))


def read_celery(app: Any) -> Imported:
    """Each entry of ``app.conf.beat_schedule`` as a call of the function of its task's name."""
    found = Imported()
    zone = zone_name(app.timezone)
    if zone is None:
        found.cannot("app.timezone", f"{app.timezone} is no zone of the IANA database; UTC is used")
        zone = "UTC"
    # As beat begins: what an app adds once it is complete (`on_after_finalize`) is in its schedule.
    app.loader.import_default_modules()
    app.finalize()
    _beat(found, app.conf)
    for name, given in dict(app.conf.beat_schedule).items():
        _entry(found, app, name=str(name), given=given, zone=zone)
    if found.entries:
        found.notes.append(
            "each payload names a Celery task: register its function with @dsched.task "
            "under that name"
        )
    return found


def _entry(found: Imported, app: Any, *, name: str, given: Any, zone: str) -> None:
    where = f"beat_schedule[{name!r}]"
    raw = given if isinstance(given, Mapping) else vars(given)
    trigger = _trigger(found, where, raw.get("schedule"), zone)
    if trigger is None:
        return
    task_name = str(raw.get("task"))
    task = app.tasks.get(task_name)
    function = getattr(task, "run", None)
    args, kwargs = raw.get("args") or (), raw.get("kwargs") or {}
    call = call_of(found, where, name=task_name, function=function, args=args, kwargs=kwargs)
    entry = {**trigger, **call, **_HABITS}
    settings = settings_of(found, where, app, raw)
    found.add(name, entry | entry_options(found, where, settings))
    if _LOST_WITH_ITS_WORKER not in found.notes and not settings.option("acks_late"):
        found.notes.append(_LOST_WITH_ITS_WORKER)


def _beat(found: Imported, conf: Any) -> None:
    """Report what beat itself is told and no entry shows."""
    if "PersistentScheduler" not in str(conf.beat_scheduler):
        found.cannot(
            "app.beat_scheduler",
            f"what {conf.beat_scheduler} keeps elsewhere is not read, only app.conf.beat_schedule",
        )
    deadline = getattr(conf, "beat_cron_starting_deadline", None)
    if deadline is not None:
        found.cannot(
            "app.beat_cron_starting_deadline",
            f"{deadline} s: what was missed for longer is run once; misfire: skip with a "
            "misfire_grace leaves it out",
        )


def _trigger(found: Imported, where: str, schedule: Any, zone: str) -> dict[str, Any] | None:
    if isinstance(schedule, int | float) and not isinstance(schedule, bool):
        return _every(found, where, timedelta(seconds=schedule))
    if isinstance(schedule, timedelta):
        return _every(found, where, schedule)
    if all(hasattr(schedule, field) for field in ("minute", "hour", "day_of_week", "day_of_month")):
        return _crontab(found, where, schedule, zone)
    if isinstance(getattr(schedule, "run_every", None), timedelta):
        if getattr(schedule, "relative", False):
            found.cannot(where, "relative: the period counts from the first put, not by the clock")
        return _every(found, where, schedule.run_every)
    found.leave_out(where, f"a {type(schedule).__name__} schedule has no word in dsched")
    return None


def _every(found: Imported, where: str, period: timedelta) -> dict[str, Any] | None:
    if period < timedelta(seconds=1):
        found.leave_out(where, f"runs every {period.total_seconds():g} s; 1 s is the least")
        return None
    return {"every": span_text(period.total_seconds())}


def _crontab(found: Imported, where: str, schedule: Any, zone: str) -> dict[str, Any] | None:
    days, week = set(schedule.day_of_month), set(schedule.day_of_week)
    if days != _FULL_DAYS and week != _FULL_WEEK:
        found.leave_out(
            where, "day of month and day of week must both match in Celery; cron takes either"
        )
        return None
    expression = " ".join(
        fields.field_text(values, bounds)
        for values, bounds in (
            (schedule.minute, fields.MINUTE),
            (schedule.hour, fields.HOUR),
            (days, fields.DAY),
            (schedule.month_of_year, fields.MONTH),
            (week, fields.WEEKDAY),
        )
    )
    try:
        compile_trigger(CronTrigger(expression=expression, timezone=zone))
    except InvalidTriggerError as error:
        found.leave_out(where, f"{error.field}: {error.reason}")
        return None
    return {"cron_expr": expression} | ({} if zone == "UTC" else {"timezone": zone})
