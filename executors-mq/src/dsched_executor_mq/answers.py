"""Makes a result, or a failure, of an answer: bounded, and without any secret."""

from dsched.contracts import TaskFailed
from dsched.contracts.executor.secrets import Redactor
from dsched.model import JsonValue, NotJsonError, TaskResult
from dsched.model.json import loads
from dsched_executor_mq.failures import too_large
from dsched_executor_mq.waiting import Answer

ERROR = "x-dsched-error"
RETRYABLE = "x-dsched-retryable"
MAX_MESSAGE_LENGTH = 2000


def result_of(
    answer: Answer, *, redactor: Redactor, max_bytes: int, max_result_bytes: int
) -> TaskResult:
    """The result that an answer is.

    An answer with the header ``X-Dsched-Error`` says that the work has failed: raises `TaskFailed`,
    code ``answered``, to be tried again unless ``X-Dsched-Retryable`` says false.
    """
    if len(answer.body) > max_bytes:
        raise too_large(
            f"the answer has {len(answer.body)} bytes; executors.mq.max_message_bytes allows "
            f"{max_bytes}"
        )
    data = _data(answer, redactor, max_result_bytes)
    error = answer.headers.get(ERROR)
    if error is not None:
        raise TaskFailed(
            redactor.text(f"the consumer says: {error}")[:MAX_MESSAGE_LENGTH],
            "answered",
            retryable=answer.headers.get(RETRYABLE, "").strip().lower() != "false",
            data=data,
        )
    return TaskResult(code="replied", message="", data=data)


def _data(answer: Answer, redactor: Redactor, max_result_bytes: int) -> JsonValue:
    """``body``: parsed if it is JSON, else as text; cut, and said so, if it is too long."""
    if len(answer.body) <= max_result_bytes:
        try:
            return {"body": redactor.json(loads(answer.body)), "truncated": False}
        except (NotJsonError, ValueError, RecursionError):
            pass
    # Cut after the secrets are out: nothing recognises half of one.
    text = redactor.text(answer.body.decode(errors="replace"))
    kept = text.encode()[:max_result_bytes].decode(errors="ignore")
    return {"body": kept, "truncated": len(kept) < len(text)}
