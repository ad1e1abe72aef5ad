"""How an ended attempt is reported: a pure function of how it ended and of its snapshot."""

import math
import traceback
from types import TracebackType

import attrs

from dsched.contracts.executor import TaskFailed
from dsched.contracts.store.working import Completion
from dsched.model import NotJsonError, RetryPolicy, Task, TaskResult, TaskSpec, retry_delay_ms
from dsched.model.json import MAX_RESULT_BYTES, check_json

MAX_ERROR_CHARS = 8_000
MAX_MESSAGE_CHARS = 2_000
MAX_CODE_CHARS = 60
MAX_LOGGED_CHARS = 300
MAX_CAUSES = 20  # of a group of exceptions whose traceback is too long to keep

_OURS = ("dsched.", "dsched_", "asyncio.", "concurrent.")


def judge_result(task: Task, token: str, result: object) -> Completion:
    """The completion of an attempt whose executor returned."""
    try:
        if not isinstance(result, TaskResult):
            raise NotJsonError(
                f"the executor returned a {type(result).__name__}; it must return a TaskResult"
            )
        if not result.checked:
            result = result.with_text(check_json(result.data, "result", MAX_RESULT_BYTES))
    except NotJsonError as error:
        return _failed(task, token, failure=TaskFailed(str(error), "bad_result", retryable=False))
    return Completion(
        task_id=task.id, token=token, success=True, result=_bounded(result), error="", reason=""
    )


def judge_error(
    task: Task, spec: TaskSpec, token: str, error: BaseException, uniform: float
) -> Completion:
    """The completion of an attempt whose executor raised; with a retry if one is owed."""
    failure = error if isinstance(error, TaskFailed) else _unexpected(error)
    summary = None if failure is error else headline(error)
    delay_ms = None
    if failure.retryable and task.retry_count < spec.retry.max_retries:
        delay_ms = _delay_ms(spec.retry, task.retry_count + 1, failure.retry_after, uniform)
    return _failed(task, token, failure=failure, delay_ms=delay_ms, summary=summary)


def timed_out(spec: TaskSpec) -> TaskFailed:
    """The failure of an attempt that took longer than its timeout."""
    seconds = spec.timeout.total_seconds()
    return TaskFailed(f"timed out after {seconds:g} s", "timeout")


def cancelled() -> TaskFailed:
    """The end of an attempt whose cancellation was asked for."""
    return TaskFailed("cancelled while it ran", "cancelled", retryable=False)


def _delay_ms(policy: RetryPolicy, retry: int, retry_after_s: float | None, uniform: float) -> int:
    """The policy's delay, or what the target asked for if that is longer, within `max_delay`."""
    delay_ms = retry_delay_ms(policy, retry, uniform)
    if not isinstance(retry_after_s, int | float) or math.isnan(retry_after_s):
        return delay_ms  # nothing was asked for, or no usable number
    if retry_after_s <= 0:
        return delay_ms
    asked_ms = round(min(retry_after_s, policy.max_delay.total_seconds()) * 1000)
    return max(delay_ms, asked_ms)


def in_words(result: TaskResult) -> str:
    """A result for the log: its code, and the beginning of its message unless that repeats it."""
    message = result.message.strip()[:MAX_LOGGED_CHARS]
    if not message or message.startswith(f"{result.code}:"):
        return message or result.code
    return f"{result.code}: {message}"


def users_part(error: BaseException) -> TracebackType | None:
    """The traceback from the first frame that is not dsched's own on; all of it if none is."""
    trace = error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if not module.startswith(_OURS):
            return trace
        trace = trace.tb_next
    return error.__traceback__


def headline(error: BaseException) -> str:
    """The one line on an exception that begins with its name, as its traceback has it."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    said = _text(error).strip().partition("\n")[0]
    return f"{name}: {said}" if said else name


def _unexpected(error: BaseException) -> TaskFailed:
    text = "".join(traceback.format_exception(type(error), error, users_part(error)))
    if len(text) > MAX_ERROR_CHARS and isinstance(error, BaseExceptionGroup):
        # Its text ends with only one of its causes, and none of the others may be missing.
        text = "\n".join([headline(error), *_causes(error), "", text])[:MAX_ERROR_CHARS]
    return TaskFailed(text, type(error).__name__)


def can_be_written(error: BaseException) -> bool:
    """Whether a handler of `logging` can write its traceback: a lone surrogate would fail it."""
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    try:
        trace.encode()
    except UnicodeEncodeError:
        return False
    return True


def _causes(group: BaseExceptionGroup[BaseException]) -> list[str]:
    """The headlines of what a group is made of, in its order, `MAX_CAUSES` at most."""
    found: list[str] = []
    waiting: list[BaseException] = list(reversed(group.exceptions))
    while waiting and len(found) < MAX_CAUSES:
        error = waiting.pop()
        if isinstance(error, BaseExceptionGroup):
            waiting += reversed(error.exceptions)
        else:
            found.append(f"  {headline(error)[:MAX_LOGGED_CHARS]}")
    return found


def _text(value: object) -> str:
    """A text that user code gave, as one that every store can write."""
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception:  # noqa: BLE001 - user code may raise anything, here too
        text = f"a {type(value).__name__} that cannot be shown"
    if type(text) is str and text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def _failed(
    task: Task,
    token: str,
    *,
    failure: TaskFailed,
    delay_ms: int | None = None,
    summary: str | None = None,
) -> Completion:
    """``summary``: the result's message, where it is not the last line of the failure's."""
    message = _text(failure.message)
    summary = summary or message.strip().rsplit("\n", 1)[-1]
    result = TaskResult(code=failure.code, message=summary, data=failure.data)
    if not result.checked:
        try:
            result = result.with_text(check_json(result.data, "data", MAX_RESULT_BYTES))
        except NotJsonError as error:
            result = attrs.evolve(result, data={"dropped": str(error)})
    result = _bounded(result)
    return Completion(
        task_id=task.id,
        token=token,
        success=False,
        result=result,
        error=_tail(message, MAX_ERROR_CHARS),
        reason=_reason(failure, delay_ms),
        retry_delay_ms=delay_ms,
    )


def _reason(failure: TaskFailed, delay_ms: int | None) -> str:
    if failure.code in ("timeout", "cancelled"):
        return failure.code
    if delay_ms is not None:
        return ""
    return "retries exhausted" if failure.retryable else "not retryable"


def _bounded(result: TaskResult) -> TaskResult:
    if result.code == "ok" and result.message == "":
        return result  # as most are
    code = _text(result.code)[:MAX_CODE_CHARS]
    message = _text(result.message)[:MAX_MESSAGE_CHARS]
    if code is result.code and message is result.message:
        return result
    shown = TaskResult(code=code, message=message, data=result.data)
    return shown.with_text(result.data_text) if result.checked else shown


def _tail(text: str, limit: int) -> str:
    """The end of a text: of a traceback the last lines tell the most."""
    return text if len(text) <= limit else "..." + text[-limit:]
