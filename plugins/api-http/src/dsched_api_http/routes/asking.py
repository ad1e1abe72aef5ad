"""Reads the id in a route's address: text that cannot be an id is answered 404."""

import re

from dsched.model import InvalidIdError, check_id
from dsched_api_http.call import Call
from dsched_api_http.problems import not_found

MAX_TASK_ID = 300
# How a member is called within its run: by its step, its shard, or both.
_IN_RUN = re.compile(r"[a-z][a-z0-9_-]{0,39}(~[0-9]{1,4})?|[0-9]{1,4}", re.ASCII)


def named(call: Call, what: str) -> str:
    """The id of the address, of a config, worker or token; raises `Problem` 404."""
    try:
        return check_id(call.path["id"])
    except InvalidIdError:
        raise not_found(what, call.path["id"]) from None


def named_task(call: Call) -> str:
    """The id of the address, of a task; raises `Problem` 404."""
    task_id = call.path["id"]
    run_id, mark, name = task_id.partition("~")
    if mark and not _IN_RUN.fullmatch(name):
        raise not_found("task", task_id)
    head, at, tail = run_id.partition("@")
    try:
        check_id(head)
        if at:
            check_id(tail.lstrip("-"))
    except InvalidIdError:
        raise not_found("task", task_id) from None
    if len(task_id) > MAX_TASK_ID:
        raise not_found("task", task_id)
    return task_id
