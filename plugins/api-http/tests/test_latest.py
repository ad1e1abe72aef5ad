"""How the latest of several lists are merged, over lists longer than a page."""

import pytest

from dsched.contracts.store.reading import TaskPage, TaskQuery
from dsched.model import Task, TaskStatus
from dsched_api_http.latest import ENDED, RUNNING, latest

PAGE = 7


def a_task(task_id: str, status: TaskStatus, end_ms: int | None) -> Task:
    return Task(id=task_id, status=status, scheduled_ms=0, end_ms=end_ms)


def lists_of(count: int) -> dict[TaskQuery, list[Task]]:
    lists: dict[TaskQuery, list[Task]] = {
        RUNNING: [a_task(f"r{number:03}", TaskStatus.RUNNING, None) for number in range(count)]
    }
    for at, query in enumerate(ENDED):
        assert query.status is not None
        ends = [number * (at + 1) // 2 for number in range(count * (at + 1))]
        tasks = [a_task(f"{at}-{n:04}", query.status, end) for n, end in enumerate(ends)]
        lists[query] = sorted(tasks, key=lambda one: (one.end_ms, one.id), reverse=True)
    return lists


@pytest.mark.parametrize("limit", [1, 5, 7, 100])
async def test_all_are_told_once_and_in_order_whatever_the_pages(limit: int) -> None:
    lists = lists_of(30)

    async def read(query: TaskQuery, cursor: str | None) -> TaskPage:
        start = int(cursor or 0)
        rest = lists[query][start:]
        after = str(start + PAGE) if len(rest) > PAGE else None
        return TaskPage(tasks=tuple(rest[:PAGE]), cursor=after)

    told: list[Task] = []
    cursor: str | None = None
    while True:
        page, cursor = await latest(read, cursor, limit)
        assert len(page) == limit or cursor is None
        told += page
        if cursor is None:
            break
    ended = [task for query in ENDED for task in lists[query]]
    ended.sort(key=lambda one: (one.end_ms, one.id), reverse=True)
    assert [one.id for one in told] == [one.id for one in [*lists[RUNNING], *ended]]


@pytest.mark.parametrize("cursor", ["[]", "7", "nonsense", "[[null,-1],null,null,null]"])
async def test_what_is_no_cursor_is_a_value_error(cursor: str) -> None:
    async def read(query: TaskQuery, cursor: str | None) -> TaskPage:
        raise AssertionError("nothing is read")

    with pytest.raises(ValueError, match=r"cursor|Expecting"):
        await latest(read, cursor, 10)
