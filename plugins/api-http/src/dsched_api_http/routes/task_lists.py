"""Lists of tasks: by an index, of the configs that are meant, or the latest of all."""

from collections.abc import Awaitable, Callable
from datetime import datetime

import attrs

from dsched.contracts.store.reading import TaskPage, TaskQuery
from dsched.model import Home, InvalidIdError, JsonValue, TaskStatus, check_id, to_ms, whole_ms
from dsched.model.json import dumps
from dsched.selecting import ALWAYS, SelectionError, TaskSelection, TaskWalk, Window, select_tasks
from dsched_api_http.call import STORE_PAGE, Answer, Call, listing
from dsched_api_http.latest import latest
from dsched_api_http.list_requests import TaskList, labels_of
from dsched_api_http.models import TaskView, task_of
from dsched_api_http.problems import invalid
from dsched_api_http.selections import refused, sorted_labels

_SELECTING = ("config", "live_of", "status", "owner")
_PLACES = ("home", "worker")

Fetch = Callable[[str | None, int], Awaitable[tuple[list[TaskView], str | None]]]


async def list_tasks(call: Call) -> Answer:
    """Tasks by one index, or of the configs that are meant; by nothing, the latest of all."""
    asked: TaskList = call.query
    try:
        window = Window(from_ms=_ms(asked.since), before_ms=_ms(asked.until))
        if _asks_for_all(asked):
            name = f"tasks {dumps(attrs.asdict(window))}" if window != ALWAYS else "tasks"
            return listing(*await call.page(name, _latest_of(call, window)))
        query = _query(asked, window)
        if query is not None:
            return listing(*await call.page(_name_of(query), _of_index(call, query)))
        selection = _selection(asked)
        return await _selected(call, selection)
    except SelectionError as error:
        raise refused(error) from error


def _ms(at: datetime | None) -> int | None:
    return None if at is None else to_ms(whole_ms(at))


def _asks_for_all(asked: TaskList) -> bool:
    named = any(getattr(asked, name) is not None for name in (*_SELECTING, *_PLACES))
    return not named and not asked.label


def _latest_of(call: Call, window: Window) -> Fetch:
    async def read(query: TaskQuery, cursor: str | None) -> TaskPage:
        return await call.client.list(query, cursor=cursor, limit=STORE_PAGE)

    async def fetch(cursor: str | None, limit: int) -> tuple[list[TaskView], str | None]:
        tasks, after = await latest(read, cursor, limit, window)
        return [task_of(one) for one in tasks], after

    return fetch


def _of_index(call: Call, query: TaskQuery) -> Fetch:
    async def fetch(cursor: str | None, limit: int) -> tuple[list[TaskView], str | None]:
        page = await call.client.list(query, cursor=cursor, limit=limit)
        return [task_of(one) for one in page.tasks], page.cursor

    return fetch


def _name_of(query: TaskQuery) -> str:
    """What its cursors belong to. A list without a window is called as it was before there were
    any, so that cursors of then go on."""
    fields = attrs.asdict(query)
    for bound in ("from_ms", "before_ms"):
        if fields[bound] is None:
            del fields[bound]
    return f"tasks {dumps(fields)}"


async def _selected(call: Call, selection: TaskSelection) -> Answer:
    """Tasks of the configs that are meant, walked once for all of the answer."""
    walk: TaskWalk | None = None

    async def fetch(cursor: str | None, limit: int) -> tuple[list[TaskView], str | None]:
        nonlocal walk
        if walk is None:
            walk = TaskWalk(call.store, selection, cursor)
            try:
                await walk.begin()
            except SelectionError as error:
                raise refused(error) from error
        page = await walk.page(limit)
        return [task_of(one) for one in page.tasks], page.cursor

    return listing(*await call.page(_name_of_walk(selection), fetch))


def _name_of_walk(selection: TaskSelection) -> str:
    """What its cursors belong to: all of the question, so that they are of no other."""
    configs, window = selection.configs, selection.window
    told: list[JsonValue] = [
        *(configs.pattern, sorted_labels(configs), configs.owner),
        *(selection.living, selection.status, window.from_ms, window.before_ms),
    ]
    return f"tasks of {dumps(told)}"


def _selection(asked: TaskList) -> TaskSelection:
    return select_tasks(
        config=asked.config,
        live_of=asked.live_of,
        labels=labels_of(asked.label),
        owner=asked.owner,
        status=asked.status,
        from_ms=_ms(asked.since),
        before_ms=_ms(asked.until),
    )


def _query(asked: TaskList, window: Window) -> TaskQuery | None:
    """The one index that serves what was asked; None where configs have to be found, or a status
    among theirs. Raises `Problem` for what cannot be asked for together."""
    given = {name: getattr(asked, name) for name in _SELECTING if getattr(asked, name) is not None}
    if asked.home is not None or asked.worker is not None:
        return _of_home(asked, [*given, *(["label"] if asked.label else [])], window)
    if asked.label:
        return None
    match given:
        case {"config": config, **rest} if not rest and "*" not in config:
            return window.of_config(_checked("config", config))
        case {"live_of": config, **rest} if not rest and "*" not in config and window == ALWAYS:
            return TaskQuery(live_of=_checked("live_of", config))
        case {"status": status, **rest} if not rest:
            return _of_status(status, window)
    return None


def _of_home(asked: TaskList, others: list[str], window: Window) -> TaskQuery:
    """The tasks of a home: of all configs, in the order of that home."""
    if others:
        raise invalid(
            others[0], "cannot be asked for with home or worker: those list tasks of all configs"
        )
    if window != ALWAYS:
        name = "since" if window.from_ms is not None else "until"
        raise invalid(name, "is about ends, and what is in a home has none; leave it out")
    home = "queue" if asked.home is None else asked.home
    if (home == "queue") is not (asked.worker is not None):
        raise invalid("worker", "belongs to home=queue, which needs it")
    if home not in list(Home):
        raise invalid("home", f"must be one of {', '.join(Home)}")
    worker = None if asked.worker is None else _checked("worker", asked.worker)
    return TaskQuery(home=Home(home), worker_id=worker)


def _of_status(status: str, window: Window) -> TaskQuery | None:
    """The tasks of a status, of all configs."""
    if status not in list(TaskStatus):
        raise invalid("status", f"must be one of {', '.join(TaskStatus)}")
    wanted = TaskStatus(status)
    if wanted.terminal:
        return window.of_status(wanted)
    if window.before_ms is not None:
        return None  # which is refused, as for some configs
    if wanted is TaskStatus.RUNNING:
        return TaskQuery(home=Home.LEASE)
    raise invalid(
        "status", f"{wanted} tasks are in several homes; give one, or the configs: config=*"
    )


def _checked(field: str, value: str) -> str:
    try:
        return check_id(value, field)
    except InvalidIdError as error:
        raise invalid(field, str(error)) from error
