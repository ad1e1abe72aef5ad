"""Tasks of the configs that are meant: those that ended in a window, or those that live."""

from collections.abc import Mapping

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.bounds import MAX_BATCH
from dsched.contracts.store.checks import check_limit
from dsched.contracts.store.reading import TaskPage
from dsched.model import TaskStatus
from dsched.selecting.ended import ALWAYS, EndedWalk, Window
from dsched.selecting.living import living_page
from dsched.selecting.selection import ConfigSelection, SelectionError, selected_ids
from dsched.wording import printable

_EVERY = "*"


@attrs.frozen(kw_only=True)
class TaskSelection:
    """Tasks of the configs that are meant, of ``status`` only if one is given: with ``living``
    those that wait or run, else those that ended in ``window``."""

    configs: ConfigSelection
    living: bool = False
    status: TaskStatus | None = None
    window: Window = ALWAYS


def select_tasks(
    *,
    config: str | None = None,
    live_of: str | None = None,
    labels: Mapping[str, str] | None = None,
    owner: str | None = None,
    status: TaskStatus | str | None = None,
    from_ms: int | None = None,
    before_ms: int | None = None,
) -> TaskSelection:
    """What somebody asks for: patterns of ids, labels, an owner, a status, a window (wall ms).

    ``config`` (every one, where neither is given) means what ended, ``live_of`` what lives. A
    status of what lives means that, whichever is given. `SelectionError` names the wrong one.
    """
    window = Window(from_ms=from_ms, before_ms=before_ms)
    if config is not None and live_of is not None:
        raise SelectionError(
            "live_of", "lists what waits or runs, and config what ended; keep one of them"
        )
    wanted = None if status is None else _status(status)
    if live_of is not None and wanted is not None and wanted.terminal:
        raise SelectionError(
            "status", f"nothing that waits or runs is {wanted.value}; give config, not live_of"
        )
    living = live_of is not None or (wanted is not None and not wanted.terminal)
    if living and before_ms is not None:
        raise SelectionError(
            "until", "is about ends, and what waits or runs has none; leave it out"
        )
    pattern = live_of if live_of is not None else config
    try:
        configs = ConfigSelection(
            pattern=_EVERY if pattern is None else pattern, labels=labels or {}, owner=owner
        )
    except SelectionError as error:
        if live_of is None or error.field != "config":
            raise
        raise SelectionError("live_of", error.reason) from None
    return TaskSelection(configs=configs, living=living, status=wanted, window=window)


def _status(status: TaskStatus | str) -> TaskStatus:
    try:
        return TaskStatus(status)
    except ValueError:
        known = ", ".join(TaskStatus)
        raise SelectionError(
            "status", f"{printable(str(status))!r} is none; it must be one of {known}"
        ) from None


class TaskWalk:
    """The tasks that are meant, page by page: what ended the latest first, what lives config by
    config. ``cursor`` begins where another walk stopped.

    Pages may be short, or empty, while their cursor is not None: see `EndedWalk` and `living_page`
    for what each may read.
    """

    def __init__(self, store: Store, selection: TaskSelection, cursor: str | None = None) -> None:
        self._store = store
        self._selection = selection
        self._cursor = cursor
        self._ended: EndedWalk | None = None

    async def begin(self) -> None:
        """Find out which configs are meant: `SelectionError` where they are too many, `ValueError`
        for what is no cursor of such a walk."""
        one = self._selection
        if not one.living:
            ids = await selected_ids(self._store, one.configs)
            self._ended = EndedWalk(
                self._store, ids, one.window, status=one.status, cursor=self._cursor
            )

    async def page(self, limit: int = MAX_BATCH) -> TaskPage:
        """The next tasks, at most ``limit`` (<= `MAX_BATCH`); begins if that was not done."""
        check_limit(limit)
        one = self._selection
        if one.living:
            page = await living_page(
                self._store,
                one.configs,
                statuses=() if one.status is None else (one.status,),
                cursor=self._cursor,
                limit=limit,
            )
            self._cursor = page.cursor
            return page
        if self._ended is None:
            await self.begin()
        assert self._ended is not None  # noqa: S101 - begin made it
        return await self._ended.page(limit)
