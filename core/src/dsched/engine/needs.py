"""What other members of a run answered, read where a payload or a list refers to it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from dsched.model import JsonValue, Member, Task, member_id, member_name
from dsched.model.member import NO_PARTS

NEVER_BORN = "skipped"

# Reads tasks in full, in the order of their ids, None where there is none.
Get = Callable[[Sequence[str]], Awaitable[Sequence[Task | None]]]


async def read_needs(
    member: Member, run_id: str, get: Get, *, at_once: int
) -> dict[str, JsonValue]:
    """Of each step that ``member`` needs: data, code and status, as lists where it has shards or a
    list. Reads ``at_once`` tasks in a call."""
    found: dict[str, JsonValue] = {}
    for step, parts in member.needs.items():
        indexes = _indexes(parts)
        ids = [
            member_id(member.run_of_need(step, index) or run_id, member_name(step, index))
            for index in indexes
        ]
        ended: list[Task | None] = []
        for start in range(0, len(ids), at_once):
            ended += await get(ids[start : start + at_once])
        facts = [_facts(one) for one in ended]
        found[step] = _together(facts) if parts else facts[0]
    return found


def _indexes(parts: int) -> Sequence[int | None]:
    if parts == NO_PARTS:
        return []
    return range(parts) if parts else [None]


def _facts(task: Task | None) -> dict[str, Any]:
    if task is None:
        return {"status": NEVER_BORN}
    result = task.result
    if result is None:
        return {"status": task.status.value}
    return {"status": task.status.value, "code": result.code, "data": result.data}


def _together(facts: list[dict[str, Any]]) -> dict[str, Any]:
    """In the order of the parts; what one of them lacks is nothing in its place."""
    return {name: [one.get(name) for one in facts] for name in ("status", "code", "data")}
