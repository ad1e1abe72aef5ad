"""Task files: YAML to checked `TaskConfig`s, all problems of a file in one report."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import attrs

from dsched.config.calendars import NO_FILE, Calendars, read_calendars, resolved, take_calendar
from dsched.config.executing import (
    MAX_PAYLOAD_PROBLEMS,
    STAND_IN,
    check_payload,
    choose_executor,
    dates_in,
)
from dsched.config.limits import read_limits
from dsched.config.problems import ConfigError, Place, Problem, path_text, tidy
from dsched.config.settings import TaskSettings
from dsched.config.structuring import Flaw, FlawedError, structure, unknown_keys
from dsched.config.workflows import KEYS as WORKFLOW_KEYS
from dsched.config.workflows import take_workflow
from dsched.config.yaml_reader import Document, read_yaml
from dsched.loading import Catalogue
from dsched.model import (
    CronTrigger,
    InvalidConfigError,
    Limit,
    NotJsonError,
    RetryPolicy,
    TaskConfig,
    Trigger,
    file_origin,
    to_ms,
)
from dsched.model.fields import MAX_LABELS
from dsched.model.json import MAX_PAYLOAD_BYTES, check_json
from dsched.model.task_config import Reserved
from dsched.planning import (
    InvalidTriggerError,
    check_calendar,
    check_policies,
    compile_trigger,
)
from dsched.wording import has_controls

MAX_TASKS = 10_000

_KEYS = WORKFLOW_KEYS | frozenset(field.name for field in attrs.fields(TaskConfig)) - {
    "origin",
    "reserved",
    "revision",
    "created_ms",
    "updated_ms",
    "workflow",
}
_REFUSED: Mapping[str, str] = {
    **{
        field.name: "is reserved for a later version of dsched; remove it"
        for field in attrs.fields(Reserved)
    },
    "origin": "is where a task is declared, which a file cannot choose; remove it",
    **dict.fromkeys(
        ("revision", "created_ms", "updated_ms"), "is set by the store, never by a file; remove it"
    ),
}

# What stands in for something refused, so that the rest of the task is checked too.
_STAND_IN_TRIGGERS: Mapping[str, Any] = {
    "cron_expr": "0 0 * * *",
    "every": timedelta(hours=1),
    "fixed_delay": timedelta(hours=1),
    "at": datetime(2026, 1, 1, tzinfo=UTC),
}
_ANY_CRON = "0 0 * * *"


@attrs.frozen(kw_only=True)
class TaskFile:
    """What a task file declares, in its order; ``document`` tells at which line."""

    configs: tuple[TaskConfig, ...]
    limits: tuple[Limit, ...]
    document: Document = attrs.field(repr=False, eq=False)


def read_tasks(path: str, *, defaults: TaskSettings, catalogue: Catalogue) -> list[TaskConfig]:
    """The configs of a task file; see `read_task_file`."""
    return list(read_task_file(path, defaults=defaults, catalogue=catalogue).configs)


def read_task_file(path: str, *, defaults: TaskSettings, catalogue: Catalogue) -> TaskFile:
    """What a task file declares.

    ``defaults`` fill timeout and retry where the file says nothing; the origin is `file_origin` of
    ``path``. Raises `ConfigError` with every
    problem of the file; then nothing of it may be used.
    """
    document = read_yaml(path)
    calendars, problems = read_calendars(document, path)
    limits, wrong = read_limits(document)
    problems += [*wrong, *document.problems]
    configs: list[TaskConfig] = []
    seen: dict[str, Place] = {}
    for index, raw in enumerate(_task_list(document, problems)):
        place: Place = ("tasks", index)
        try:
            configs.append(_task(raw, defaults, catalogue, calendars))
        except FlawedError as error:
            flaws = [flaw.below(place) for flaw in error.flaws]
            problems.extend(document.problem(flaw.place, flaw.reason) for flaw in flaws)
        task_id = raw.get("id") if isinstance(raw, dict) else None
        if isinstance(task_id, str):
            first = seen.setdefault(task_id, place)
            if first != place:
                reason = f"is the id of {path_text(first)} too; ids are unique, rename one"
                problems.append(document.problem((*place, "id"), reason))
    if problems:
        raise ConfigError(sorted(problems, key=lambda one: one.line or 0))
    origin = file_origin(path)
    return TaskFile(
        configs=tuple(config.of_origin(origin) for config in configs),
        limits=limits,
        document=document,
    )


@attrs.frozen
class RawEntry:
    """A task of a file as it was written, not checked yet; ``place`` is where it stands."""

    id: str
    content: Mapping[str, Any]
    place: Place


def read_entries(path: str) -> tuple[Document, list[RawEntry]]:
    """The tasks of a file as written, in its order, for a caller that sends them to a server.

    ``content`` has everything but the id, as values of JSON: dates of the schedule as text. Raises
    `ConfigError` for what no server could judge: no list of tasks, no id, the same id twice, a
    payload that JSON cannot carry.
    """
    document = read_yaml(path)
    calendars, problems = read_calendars(document, path)
    problems += [*read_limits(document)[1], *document.problems]
    entries: list[RawEntry] = []
    seen: set[str] = set()
    for index, raw in enumerate(_task_list(document, problems)):
        place: Place = ("tasks", index)
        entry_id = raw.get("id") if isinstance(raw, dict) else None
        if not isinstance(raw, dict) or not isinstance(entry_id, str):
            problems.append(document.problem((*place, "id"), "is missing, or is no text"))
            continue
        if entry_id in seen:
            reason = "is the id of another task too; ids are unique, rename one"
            problems.append(document.problem((*place, "id"), reason))
        seen.add(entry_id)
        days, flaws = resolved(raw, calendars)
        problems += [document.problem((*place, *flaw.place), flaw.reason) for flaw in flaws]
        content = {str(key): _dateless(value) for key, value in days.items() if key != "id"}
        problems.extend(_json_problems(document, place, content))
        entries.append(RawEntry(entry_id, content, place))
    if problems:
        raise ConfigError(sorted(problems, key=lambda one: one.line or 0))
    return document, entries


def _dateless(value: object) -> object:
    """A date of YAML as the text it stands for; only at the top, where schedules have them."""
    return value.isoformat() if isinstance(value, date) else value


def _json_problems(document: Document, place: Place, content: Mapping[str, Any]) -> list[Problem]:
    try:
        check_json(content, "task", max_bytes=2 * MAX_PAYLOAD_BYTES)
    except NotJsonError as error:
        # A date is what JSON refuses: looked for only where something was.
        dates = [one for key, value in content.items() for one in dates_in(value, (*place, key))]
        reason = "is a date of YAML, which JSON cannot carry; put it in quotes to send text"
        if dates:
            return [document.problem(one, reason) for one in dates[:MAX_PAYLOAD_PROBLEMS]]
        return [document.problem(place, tidy(str(error)))]
    return []


def task_from_mapping(
    raw: Mapping[str, Any],
    *,
    defaults: TaskSettings,
    catalogue: Catalogue,
    source: str = "task",
    path: str = "",
) -> TaskConfig:
    """One config from a mapping with the keys of a task file, such as an API's request body; its
    origin is ``api``.

    Raises `ConfigError`; its problems have ``source`` for a file and ``path`` before each key.
    """
    try:
        return _task(raw, defaults, catalogue)
    except FlawedError as error:
        above: Place = (path,) if path else ()
        raise ConfigError(
            [Problem(source, path_text((*above, *one.place)), one.reason) for one in error.flaws]
        ) from error


def _task_list(document: Document, problems: list[Problem]) -> list[Any]:
    data = document.data
    if not isinstance(data, dict) or "tasks" not in data:
        found = "nothing" if data is None else "no such key"
        reason = f"must have a list under the key `tasks`; there is {found}"
        problems.append(document.problem((), reason))
    if not isinstance(data, dict):
        return []
    problems.extend(
        document.problem(one.place, one.reason)
        for one in unknown_keys(data, ["tasks", "calendars", "limits"])
    )
    tasks = data.get("tasks", [])
    if not isinstance(tasks, list):
        problems.append(document.problem(("tasks",), "must be a list of tasks (`- id: ...`)"))
        return []
    if len(tasks) > MAX_TASKS:
        reason = f"has {len(tasks)} tasks; at most {MAX_TASKS} a file are allowed, split it"
        problems.append(document.problem(("tasks",), reason))
        return []
    return tasks


def _task(
    raw: object, defaults: TaskSettings, catalogue: Catalogue, calendars: Calendars = NO_FILE
) -> TaskConfig:
    """One config; raises `FlawedError` with everything that is wrong with it."""
    if not isinstance(raw, Mapping):
        raise FlawedError([Flaw((), "must be a mapping with the keys of a task, such as id")])
    flaws = _refused_keys(raw) + unknown_keys((key for key in raw if key not in _REFUSED), _KEYS)
    given = {key: value for key, value in raw.items() if key in _KEYS}
    many = bool(WORKFLOW_KEYS & given.keys())

    def judge(step: dict[str, Any], step_flaws: list[Flaw]) -> None:
        chosen = choose_executor(step, step_flaws, catalogue)
        check_payload(step, step_flaws, chosen, templates=True)

    if not many or not take_workflow(given, flaws, judge=judge, defaults=defaults):
        provider = choose_executor(given, flaws, catalogue)
        templates = many or given.get("template") is True
        check_payload(given, flaws, provider, templates=templates)
    _check_one_trigger(given, flaws)
    flaws += _control_flaws(given) + take_calendar(given, calendars)
    _fill_defaults(given, defaults)
    config = None
    try:
        config = structure(TaskConfig, given, placeholders=_placeholders(given))
    except FlawedError as error:
        flaws += error.flaws
    flaws += _trigger_flaws(given, config) + _policy_flaws(config)
    if flaws or config is None:
        raise FlawedError(flaws)
    return config


def _control_flaws(given: Mapping[str, Any]) -> list[Flaw]:
    """Refuse control characters in labels and owners, so that each is what it looks like."""
    flaws = []
    for field in ("owner", "labels", "required_labels"):
        value = given.get(field)
        if value is None:
            continue
        found = list(value.items()) if isinstance(value, Mapping) else [("", value)]
        for key, text in found[:MAX_LABELS]:
            if any(isinstance(one, str) and has_controls(one) for one in (key, text)):
                place = (field, str(key)) if key else (field,)
                reason = "has control characters or direction marks; leave them out"
                flaws.append(Flaw(place, reason))
    return flaws


def _refused_keys(raw: Mapping[Any, Any]) -> list[Flaw]:
    return [Flaw((str(key),), _REFUSED[key]) for key in raw if key in _REFUSED]


def _fill_defaults(given: dict[str, Any], defaults: TaskSettings) -> None:
    """Timeout and retry where the file says nothing; a retry given in part is completed."""
    given.setdefault("timeout", defaults.default_timeout)
    retry = given.setdefault("retry", defaults.retry)
    if isinstance(retry, Mapping):
        policy = defaults.retry
        names = ("max_retries", "retry_delay", "backoff_rate")
        given["retry"] = {name: getattr(policy, name) for name in names} | dict(retry)
    elif isinstance(retry, RetryPolicy):  # of a schedule in code
        given["retry"] = defaults.defaults.fill_retry(retry)


def _check_one_trigger(given: dict[str, Any], flaws: list[Flaw]) -> None:
    """Exactly one trigger; else a stand-in, so that the other fields are checked too."""
    found = [name for name in _STAND_IN_TRIGGERS if given.get(name) is not None]
    if len(found) != 1:
        reason = (
            f"give exactly one of {', '.join(_STAND_IN_TRIGGERS)}; "
            f"found {', '.join(found) or 'none'}"
        )
        flaws.append(Flaw(("trigger",), reason))
        for name in found:
            del given[name]
        given["every"] = _STAND_IN_TRIGGERS["every"]


def _placeholders(given: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in for a refused field, so that the others are checked too."""
    trigger = {
        name: value for name, value in _STAND_IN_TRIGGERS.items() if given.get(name) is not None
    }
    return {"id": STAND_IN, "executor": STAND_IN, **trigger}


def _trigger_flaws(given: Mapping[str, Any], config: TaskConfig | None) -> list[Flaw]:
    """What planning says about expression and zone, whatever else is wrong with the task."""
    zone = given.get("timezone", "UTC")
    expression = given.get("cron_expr")
    if not isinstance(zone, str):
        zone = "UTC"  # structuring says what is wrong with it
    start_ms = end_ms = None
    if config is not None and config.cron_expr is not None:
        trigger: Trigger = config.trigger
        start_ms = None if config.start_at is None else to_ms(config.start_at)
        end_ms = None if config.end_at is None else to_ms(config.end_at)
    else:
        text = expression if isinstance(expression, str) else _ANY_CRON
        # Only an expression of its own may need the seed; the other one is read once for a zone.
        seed = str(given.get("id", "")) if text is expression else ""
        trigger = CronTrigger(expression=text, timezone=zone, seed=seed)
    found: dict[str, Flaw] = {}

    def compiles(one: Trigger) -> None:
        try:
            compile_trigger(one, start_ms=start_ms, end_ms=end_ms)
        except InvalidTriggerError as error:
            found.setdefault(error.field, Flaw((error.field,), tidy(error.reason)))

    compiles(trigger)
    if config is not None and config.cron_expr is None:
        compiles(config.trigger)
    elif found:
        # An expression that cannot be read must not hide a zone that does not exist.
        compiles(CronTrigger(expression=_ANY_CRON, timezone=zone))
    return list(found.values())


def _policy_flaws(config: TaskConfig | None) -> list[Flaw]:
    try:
        if config is not None:
            check_policies(config)
            check_calendar(config)
    except (InvalidConfigError, InvalidTriggerError) as error:
        return [Flaw((error.field,), error.reason)]
    return []
