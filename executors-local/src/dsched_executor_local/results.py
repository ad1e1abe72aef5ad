"""What a function returned or raised, as the result or the failure of an attempt."""

import traceback
from collections.abc import Mapping
from typing import Any

from dsched.contracts.executor import TaskFailed
from dsched.model import JsonValue, NotJsonError, TaskResult
from dsched.model.json import MAX_RESULT_BYTES, check_json, dumps, loads, plain_text

MAX_MESSAGE_CHARS = 4096
MAX_TRACEBACK_CHARS = 16 * 1024
MAX_CODE_CHARS = 64

_NOTHING = TaskResult()
_AROUND_BYTES = len(dumps({"code": "ok", "message": "", "data": ""})) - len('""')


class ChildTraceback(Exception):  # noqa: N818 - it is no error, but what is known of one
    """The traceback of an exception in a child process, as text: the cause of its failure here."""


def result_of(value: Any, name: str) -> TaskResult:
    """The `TaskResult` of what function ``name`` returned; not JSON is a failure for good.

    The data is made of plain JSON types, so that it is the same from every isolation. It is checked
    and written here, and nowhere else.
    """
    if value is None:
        return _NOTHING
    result = value if isinstance(value, TaskResult) else TaskResult(data=value)
    if result.code == "ok" and result.message == "":
        text = plain_text(result.data, MAX_RESULT_BYTES - _AROUND_BYTES)
        if text is not None:
            return result.with_text(text)
    whole = {"code": result.code, "message": result.message, "data": result.data}
    try:
        if not isinstance(result.code, str) or not isinstance(result.message, str):
            raise NotJsonError("TaskResult.code and TaskResult.message must be strings")
        plain = loads(check_json(whole, "result", MAX_RESULT_BYTES))
    except (NotJsonError, RecursionError) as error:
        raise TaskFailed(
            f"function {name!r} returned what cannot be kept: {error}; return JSON values "
            "(None, booleans, numbers, strings, lists, mappings with string keys) or a TaskResult",
            code="result",
            retryable=False,
        ) from error
    return TaskResult(**plain).with_text(dumps(plain["data"]))


def describe(error: BaseException) -> str:
    """One line on an exception, bounded."""
    return _printable(f"{type(error).__name__}: {error}")[:MAX_MESSAGE_CHARS]


def failure_of(error: BaseException) -> TaskFailed:
    """The failure that stands for ``error``: its class as the code, its traceback kept as text."""
    text = "".join(traceback.format_exception(error))
    return TaskFailed(
        describe(error),
        code=type(error).__name__[:MAX_CODE_CHARS],
        data={"traceback": _printable(text)[-MAX_TRACEBACK_CHARS:]},
    )


def exit_failure(error: SystemExit, name: str) -> TaskFailed:
    """A function that called `sys.exit` ends its own attempt, not the worker."""
    return TaskFailed(
        f"function {name!r} called sys.exit({error.code!r}); raise an exception instead",
        code="SystemExit",
    )


def failed_to_json(error: TaskFailed) -> dict[str, JsonValue]:
    """A `TaskFailed` as JSON, to cross from a child process; data that is not JSON is left out."""
    message = _printable(str(error.message))[: MAX_MESSAGE_CHARS * 4]
    data = error.data
    try:
        check_json(data, "data", MAX_RESULT_BYTES // 2)
    except (NotJsonError, RecursionError) as problem:
        data, message = None, f"{message} (its data was left out: {problem})"
    after = error.retry_after
    return {
        "message": message,
        "code": _printable(str(error.code))[:MAX_CODE_CHARS],
        "retryable": bool(error.retryable),
        "retry_after": float(after) if after is not None else None,
        "data": data,
    }


def failed_from_json(value: Mapping[str, JsonValue]) -> TaskFailed:
    """What `failed_to_json` wrote; the child's traceback, if it sent one, is its cause."""
    data = value["data"]
    failed = TaskFailed(
        str(value["message"]),
        str(value["code"]),
        retryable=bool(value["retryable"]),
        retry_after=value["retry_after"],
        data=data,
    )
    trace = data.get("traceback") if isinstance(data, dict) and len(data) == 1 else None
    if isinstance(trace, str):
        failed.__cause__ = ChildTraceback(trace)
    return failed


def _printable(text: str) -> str:
    """The text without lone surrogates, which no store could encode."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
