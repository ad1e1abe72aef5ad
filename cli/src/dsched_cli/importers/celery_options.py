"""Options of Celery's tasks and of beat entries: translated, or reported as dropped."""

import inspect
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import attrs

from dsched_cli.importers.modules import span_text
from dsched_cli.importers.result import Imported

_LONG = "1d"
_MOST_RETRIES = 1_000_000
_MOST_DELAY = timedelta(days=30)
_DEFAULT_MAX_DELAY = timedelta(hours=1)
# Options of a task that say nothing about when it runs, how often, or with what.
_SILENT = frozenset(
    {"serializer", "compression", "delivery_mode", "immediate", "mandatory", "ignore_result"}
)
# What an app's own class of tasks may have run beside the function.
_HOOKS = ("before_start", "on_success", "on_failure", "on_retry", "after_return")
_RETRIES = ("max_retries", "default_retry_delay", "retry_backoff", "retry_kwargs")
_QUEUES = ("queue", "exchange", "routing_key")


@attrs.frozen
class Settings:
    """The settings of a task as its next message would have them."""

    app: Any
    task: Any
    task_name: str
    given: Mapping[str, Any]  # the options of the beat entry
    routed: Mapping[str, Any]  # the options that the app's routes add

    def of_task(self, name: str, default: Any = None) -> Any:
        """An attribute of the task, if the app knows it and it is set."""
        value = getattr(self.task, name, None)
        return default if value is None else value

    def option(self, name: str) -> Any:
        """What an option of the message is: of the entry, the task, a route, or the app."""
        for value in (self.given.get(name), self.of_task(name), self.routed.get(name)):
            if value is not None:
                return value
        return getattr(self.app.conf, f"task_{name}", None)

    def queue(self) -> str:
        """The queue that it is sent to, if that is not the default one."""
        named = self.option("queue")
        found = str(getattr(named, "name", named or ""))
        return "" if found == self.app.conf.task_default_queue else found


def settings_of(found: Imported, where: str, app: Any, entry: Mapping[str, Any]) -> Settings:
    """The settings of the task that a beat entry sends; a route that cannot be asked is told."""
    name, given = str(entry.get("task")), dict(entry.get("options") or {})
    args, kwargs = entry.get("args") or (), entry.get("kwargs") or {}
    routed: Mapping[str, Any] = {}
    try:
        routed = app.amqp.router.route(dict(given), name, args, kwargs)
    except Exception as error:  # noqa: BLE001 - a router of the app raises what it likes
        found.cannot(where, f"its route is unknown: {type(error).__name__}: {error}")
    return Settings(app, app.tasks.get(name), name, given, routed)


def entry_options(found: Imported, where: str, settings: Settings) -> dict[str, Any]:
    """The keys of an entry that come of these settings; what has no key is told."""
    if settings.task is None:
        found.cannot(where, f"the app has no task {settings.task_name!r}: its options are unknown")
    for told in _dropped(settings):
        found.cannot(where, told)
    entry: dict[str, Any] = {"timeout": _timeout(settings), "retry": _retry(found, where, settings)}
    deadline, priority = _start_deadline(found, where, settings), _priority(found, where, settings)
    if deadline is not None:
        entry["start_deadline"] = deadline
    if priority is not None:
        entry["priority"] = priority
    return entry


def _dropped(settings: Settings) -> Iterator[str]:
    conf = settings.app.conf
    rate = settings.of_task("rate_limit", conf.task_default_rate_limit)
    if rate:
        yield f"rate_limit {rate!r} has no word in dsched"
    soft = settings.option("soft_time_limit")
    if soft:
        yield f"soft_time_limit {soft:g} s: there is one limit in dsched, timeout"
    queue = settings.queue()
    if queue:
        yield f"queue {queue!r}: let workers have a label and require it: required_labels"
    for key in ("exchange", "routing_key"):
        if settings.option(key):
            yield f"{key}: there are no routes in dsched, only labels of workers"
    run = type(settings.task).__dict__.get("run") if settings.task is not None else None
    if run is not None and not isinstance(run, staticmethod):
        yield "is bound: its function gets no task as `self` in dsched; ctx tells about the attempt"
    known = {*_SILENT, *_QUEUES, "expires", "priority", "time_limit", "soft_time_limit"}
    for key in {**settings.given, **settings.routed}:
        if key not in known:
            yield f"the option {key} has no word in dsched"
    for hook in _HOOKS:
        if _own(settings.task, hook) is not None:
            yield f"{hook} is not called: an observer of dsched is told how tasks go"


def _timeout(settings: Settings) -> str:
    limit = settings.option("time_limit")
    return span_text(limit) if limit else _LONG


# --- retries
# ----------------------------------------------------------------------------------------


def _retry(found: Imported, where: str, settings: Settings) -> dict[str, Any]:
    """Retries of `autoretry_for`: a constant delay stays constant, a back-off stays one."""
    wanted = settings.of_task("autoretry_for", ())
    if not wanted:
        _told_of_own_retries(found, where, settings)
        return {"max_retries": 0}
    _filters(found, where, settings, wanted)
    kwargs = settings.of_task("retry_kwargs", {})
    most = kwargs.get("max_retries", getattr(settings.task, "max_retries", 3))
    retry: dict[str, Any] = {"max_retries": _MOST_RETRIES if most is None else most}
    backoff = float(settings.of_task("retry_backoff", False))
    if backoff:
        return retry | _backoff(found, where, settings, backoff)
    constant = timedelta(
        seconds=float(kwargs.get("countdown", settings.of_task("default_retry_delay", 180)))
    )
    kept = min(constant, _MOST_DELAY)
    if kept < constant:
        found.cannot(where, f"retries after {constant}; {_MOST_DELAY.days} days are the most")
    retry |= {"retry_delay": span_text(kept.total_seconds()), "backoff_rate": 1.0, "jitter": 0.0}
    if kept > _DEFAULT_MAX_DELAY:
        retry["max_delay"] = span_text(kept.total_seconds())
    return retry


def _backoff(found: Imported, where: str, settings: Settings, factor: float) -> dict[str, Any]:
    """Celery waits ``factor x 2^n``, at most ``retry_backoff_max``, drawn from 0 on with a
    jitter."""
    most_s = int(settings.of_task("retry_backoff_max", 600))
    spread: dict[str, Any] = {"jitter": 0.0}
    if getattr(settings.task, "retry_jitter", True):
        found.cannot(
            where,
            "retry_jitter draws each delay from 0 to its length; dsched's jitter only "
            "lengthens them",
        )
        spread = {}
    first_s = min(int(max(1.0, factor)), most_s)
    return {
        "retry_delay": span_text(first_s),
        "backoff_rate": 2.0,
        "max_delay": span_text(most_s),
        **spread,
    }


def _filters(found: Imported, where: str, settings: Settings, wanted: Any) -> None:
    """Which exceptions are retried: dsched retries all, unless they say that they are final."""
    everything = any(kind in (Exception, BaseException) for kind in wanted)
    excepted = settings.of_task("dont_autoretry_for", ())
    final = "raise dsched.TaskFailed(..., retryable=False) for what must not be retried"
    if not everything:
        found.cannot(where, f"retries only after {_names(wanted)}; {final}")
    if excepted:
        found.cannot(where, f"does not retry after {_names(excepted)}; {final}")


def _told_of_own_retries(found: Imported, where: str, settings: Settings) -> None:
    """Report a function that calls `retry` of its task itself: no option shows those retries."""
    own = {name: value[0] for name in _RETRIES if (value := _own(settings.task, name))}
    if own and own.get("max_retries", 1) != 0:
        options = ", ".join(f"{name} {value}" for name, value in own.items())
        found.cannot(
            where,
            f"{options} without autoretry_for: they count only where the task calls retry by "
            "itself, and it is not retried here: give it retry",
        )
    try:
        source = inspect.getsource(inspect.unwrap(settings.task.run))
    except (AttributeError, OSError, TypeError):
        return
    if ".retry(" in source:
        found.cannot(where, "calls retry by itself: give it retry and let its exceptions out")


def _own(task: Any, name: str) -> tuple[Any] | None:
    """An attribute that the app gave this task or its classes, not Celery; None if it did not."""
    kinds = type(task).__mro__
    # The last class of this name is Celery's own; an app derives one of the same name from it.
    own = [at for at, kind in enumerate(kinds) if kind.__module__ == "celery.app.task"]
    for kind in kinds[: own[-1] if own else 0]:
        if name in vars(kind):
            return (vars(kind)[name],)
    return None


def _names(kinds: Any) -> str:
    return ", ".join(str(getattr(kind, "__name__", kind)) for kind in kinds)


# --- deadline and priority
# --------------------------------------------------------------------------


def _start_deadline(found: Imported, where: str, settings: Settings) -> str | None:
    expires = settings.option("expires")
    if expires is None:
        return None
    span_s = expires.total_seconds() if isinstance(expires, timedelta) else expires
    if isinstance(span_s, int | float) and not isinstance(span_s, bool) and span_s > 0:
        return span_text(span_s)
    found.cannot(where, f"expires {expires!s}: only a length of time has a word: start_deadline")
    return None


def _priority(found: Imported, where: str, settings: Settings) -> int | None:
    """Celery hands the number to the broker: AMQP takes the highest first, Redis the lowest."""
    given = settings.option("priority")
    if given is None:
        given = settings.app.conf.task_default_priority
    if given is None:
        return None
    transport = str(settings.app.connection_for_write().transport_cls)
    first_is_lowest = "redis" in transport or "sentinel" in transport
    known = first_is_lowest or "amqp" in transport
    if not known or not isinstance(given, int) or not 0 <= given <= 9:
        found.cannot(where, f"priority {given!r} of {transport}: in dsched it is 0 to 9, 9 first")
        return None
    return 9 - given if first_is_lowest else given
