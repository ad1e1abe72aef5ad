"""What targets say of attempts that wait for them, each with the token of that attempt alone."""

import re
from collections.abc import Callable
from typing import Any

import attrs

from dsched.contracts.store.callbacks import MAX_DATA_BYTES, MAX_LINES, Inbox, Posted, post
from dsched.contracts.store.outcomes import Outcome
from dsched.contracts.store.tasklogs import MAX_LINE_BYTES, LineLevel, line_text
from dsched.model import JsonValue
from dsched.model.json import dumps
from dsched_api_http.call import Answer, Call, Route
from dsched_api_http.problems import Problem, invalid
from dsched_api_http.routes.asking import named_task

# As `secrets.token_urlsafe(32)` makes them.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
MAX_CODE, MAX_MESSAGE = 60, 2000
SENT = (LineLevel.DEBUG, LineLevel.INFO, LineLevel.WARNING, LineLevel.ERROR, LineLevel.CRITICAL)


@attrs.frozen(kw_only=True)
class CallbackEnd:
    """How an attempt ended. A failure is tried again as `retry` says, unless ``retryable`` is
    false."""

    success: bool
    code: str = ""
    message: str = ""
    data: JsonValue = None
    retryable: bool = True


@attrs.frozen(kw_only=True)
class CallbackProgress:
    """How far an attempt is."""

    done: float
    total: float | None = None
    note: str = ""


@attrs.frozen(kw_only=True)
class CallbackLine:
    """A line for the log of the task."""

    text: str
    level: str = "info"


@attrs.frozen(kw_only=True)
class CallbackLines:
    """Lines for the log of the task. ``first``: the number of the first of them, counted from 1
    over the attempt, so that a repeat adds nothing."""

    lines: tuple[CallbackLine, ...]
    first: int | None = None


@attrs.frozen(kw_only=True)
class CallbackTaken:
    """It is taken. ``cancel_requested``: somebody wants the task to end; stop, and say so."""

    cancel_requested: bool = False


async def complete_attempt(call: Call) -> Answer:
    """Say how the attempt ended. May be repeated in the same words."""
    body: CallbackEnd = call.body
    done: dict[str, Any] = {
        "success": body.success,
        "code": _short("code", body.code, MAX_CODE) or ("ok" if body.success else "callback"),
        "message": _short("message", body.message, MAX_MESSAGE),
        "data": _small(body.data),
        "retryable": body.retryable,
    }

    def change(inbox: Inbox) -> Inbox | Outcome:
        if inbox.done is not None:
            return Outcome.DUP if dict(inbox.done) == done else Outcome.CONFLICT
        return attrs.evolve(inbox, done=done)

    return await _posted(call, change)


async def report_progress(call: Call) -> Answer:
    """Say how far the attempt is; the latest counts."""
    body: CallbackProgress = call.body
    value: dict[str, JsonValue] = {"done": body.done}
    if body.total is not None:
        value["total"] = body.total
    if body.note:
        value["note"] = _short("note", body.note, 500)
    return await _posted(
        call,
        lambda inbox: Outcome.CONFLICT if inbox.done else attrs.evolve(inbox, progress=value),
    )


async def append_lines(call: Call) -> Answer:
    """Add lines to the log of the task."""
    body: CallbackLines = call.body
    rows = tuple(_line(at, one) for at, one in enumerate(body.lines))
    if len(rows) > MAX_LINES:
        raise invalid("lines", f"at most {MAX_LINES} at once")
    if body.first is not None and body.first < 1:
        raise invalid("first", "counts from 1")

    def change(inbox: Inbox) -> Inbox | Outcome:
        if inbox.done is not None:
            return Outcome.CONFLICT
        first = inbox.seen + 1 if body.first is None else body.first
        new = rows[max(0, inbox.seen + 1 - first) :]
        seen = max(inbox.seen, first + len(rows) - 1)
        if not new:
            return Outcome.DUP
        lines = (*inbox.lines, *new)
        size = sum(len(text.encode()) for _, text in lines)
        if len(lines) > MAX_LINES or size > MAX_DATA_BYTES:
            return Outcome.FULL
        return attrs.evolve(inbox, lines=lines, seen=seen)

    return await _posted(call, change)


async def _posted(call: Call, change: Callable[[Inbox], Inbox | Outcome]) -> Answer:
    task_id, attempt = named_task(call), _attempt(call)
    token = call.request.headers.get("Authorization", "").partition(" ")[2].strip()
    if _TOKEN.fullmatch(token):
        async with call.api.gate.in_turn(call.request):
            found = await post(call.store, task_id, attempt, token=token, change=change)
    else:
        found = Posted(outcome=Outcome.UNKNOWN)  # for which no store need be asked
    problem = _problem(call, found)
    if problem is not None:
        raise problem
    return Answer(body=CallbackTaken(cancel_requested=found.cancel_requested))


def _problem(call: Call, found: Posted) -> Problem | None:
    match found.outcome:
        case Outcome.UNKNOWN:
            call.api.gate.check_stranger(call.request)
            return Problem(
                "unauthenticated",
                "no attempt waits for this token",
                hint="send Authorization: Bearer with X-Dsched-Callback-Token of this very attempt",
                headers={"WWW-Authenticate": "Bearer"},
            )
        case Outcome.STALE:
            detail = "this attempt is over: it was cancelled, timed out, or is another worker's now"
            hint = "a later attempt has a token of its own; nothing more is wanted of this one"
            return Problem("moved", detail, hint=hint)
        case Outcome.TOO_LATE:
            return Problem("too_late", "the attempt's timeout is over", hint="raise its timeout")
        case Outcome.CONFLICT:
            return Problem("conflict", "this attempt was completed before, in other words")
        case Outcome.FULL:
            return Problem(
                "too_many_requests",
                "the lines before these have not been taken over yet",
                hint="send fewer, or wait",
                headers={"Retry-After": "2"},
            )
        case _:
            return None


def _attempt(call: Call) -> int:
    text = call.path["attempt"]
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= 9):
        raise Problem("not_found", "attempts are numbered from 1")
    return int(text)


def _line(at: int, line: CallbackLine) -> tuple[str, str]:
    if line.level not in SENT:
        raise invalid(f"lines[{at}].level", f"one of {', '.join(SENT)}")
    return line.level, line_text(line.text)[:MAX_LINE_BYTES]


def _short(name: str, text: str, most: int) -> str:
    if len(text) > most:
        raise invalid(name, f"at most {most} characters")
    return text


def _small(data: JsonValue) -> JsonValue:
    if data is not None and len(dumps(data).encode("utf-8", "surrogatepass")) > MAX_DATA_BYTES:
        raise Problem(
            "too_large",
            f"data has more than {MAX_DATA_BYTES} bytes",
            hint="keep it elsewhere and say where",
        )
    return data


ROUTES = tuple(
    Route(
        method="POST",
        path=f"/tasks/{{id}}/attempts/{{attempt}}/{verb}",
        name=f"attempt.{verb}",
        scope=None,
        handle=handle,
        summary=summary,
        body=body,
        answer=CallbackTaken,
        problems=(
            *("unauthenticated", "not_found", "conflict", "moved", "too_late", "too_large"),
            "too_many_requests",
        ),
    )
    for verb, handle, summary, body in (
        (
            "complete",
            complete_attempt,
            "Say how an attempt ended (its callback token)",
            CallbackEnd,
        ),
        (
            "progress",
            report_progress,
            "Say how far an attempt is (its callback token)",
            CallbackProgress,
        ),
        ("lines", append_lines, "Add lines to a task's log (its callback token)", CallbackLines),
    )
)
