"""Reads the id in a route's address: text that cannot be an id is answered 404."""

from dsched.model import InvalidIdError, check_id
from dsched_api_http.call import Call
from dsched_api_http.problems import not_found

MAX_TASK_ID = 300


def named(call: Call, what: str) -> str:
    """The id of the address, of a config, worker or token; raises `Problem` 404."""
    try:
        return check_id(call.path["id"])
    except InvalidIdError:
        raise not_found(what, call.path["id"]) from None


def named_task(call: Call) -> str:
    """The id of the address, of a task; raises `Problem` 404."""
    task_id = call.path["id"]
    head, at, tail = task_id.partition("@")
    try:
        check_id(head)
        if at:
            check_id(tail.lstrip("-"))
    except InvalidIdError:
        raise not_found("task", task_id) from None
    if len(task_id) > MAX_TASK_ID:
        raise not_found("task", task_id)
    return task_id
