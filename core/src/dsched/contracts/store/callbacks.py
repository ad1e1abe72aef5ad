"""What targets say of attempts by callback: an inbox an attempt, kept as a document.

The worker that holds the attempt opens the inbox, the API writes into it, the worker reads it. So
the attempt ends as any other does, by its worker's report, and what was said outlives that worker.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from dsched.contracts.store import Store
from dsched.contracts.store.documents import Documents
from dsched.contracts.store.outcomes import Outcome
from dsched.model import JsonValue, TaskStatus

KIND = "callback"
KEPT_MS = 24 * 3_600_000  # after the attempt's timeout: for who takes over from a dead worker
MAX_LINES = 100  # that wait to be taken over
MAX_DATA_BYTES = 32 * 1024  # of what one callback says, so that the inbox is a document


def _rows(rows: Iterable[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    """Lines, from lists of JSON too: level and text."""
    return tuple((level, text) for level, text in rows)


@attrs.frozen(kw_only=True)
class Inbox:
    """What is known of one attempt. ``until_ms``: how long its token is good, in store time;
    ``retries``: how many failures of its task had been tried again when it began; ``seen``: how
    many lines the target has sent; ``done``: how it ended, as the target said."""

    task: str
    attempt: int
    sha256: str
    until_ms: int
    retries: int = 0
    seen: int = 0
    lines: tuple[tuple[str, str], ...] = attrs.field(default=(), converter=_rows)
    progress: JsonValue = None
    done: Mapping[str, Any] | None = None

    def record(self) -> JsonValue:
        """As it is kept."""
        return attrs.asdict(self) | {"lines": [list(one) for one in self.lines]}


@attrs.frozen(kw_only=True)
class Posted:
    """``OK``; ``DUP`` (said before, in these words); ``CONFLICT`` (said before, in others);
    ``STALE`` (the attempt is over, or another is under way); ``TOO_LATE`` (past its timeout);
    ``FULL``; ``UNKNOWN`` (no such attempt waits, or the token is another's)."""

    outcome: Outcome
    cancel_requested: bool = False


def digest_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def key_of(task_id: str, attempt: int) -> str:
    """The id of an inbox: ids of tasks may be longer than those of documents."""
    return f"{hashlib.sha256(task_id.encode()).hexdigest()[:40]}.{attempt}"


async def read_inbox(store: Documents, task_id: str, attempt: int) -> tuple[Inbox | None, int]:
    """An inbox and its version; None and 0 where there is none."""
    found = await store.get_document(KIND, key_of(task_id, attempt))
    if found is None or not isinstance(found.value, dict):
        return None, 0
    return Inbox(**found.value), found.version


async def write_inbox(store: Documents, inbox: Inbox, *, read: int, now_ms: int) -> Outcome:
    """Create or change an inbox: ``OK``, ``DUP`` or ``MOVED``."""
    answer = await store.put_document(
        KIND,
        key_of(inbox.task, inbox.attempt),
        inbox.record(),
        read=read,
        ttl_ms=max(1, inbox.until_ms - now_ms) + KEPT_MS,
    )
    return answer.outcome


async def post(
    store: Store,
    task_id: str,
    attempt: int,
    *,
    token: str,
    change: Callable[[Inbox], Inbox | Outcome],
) -> Posted:
    """Have a target say something. ``change`` gives the inbox after it, or why not.

    May be repeated.
    """
    while True:
        inbox, version = await read_inbox(store, task_id, attempt)
        if inbox is None or not hmac.compare_digest(inbox.sha256, digest_of(token)):
            return Posted(outcome=Outcome.UNKNOWN)
        changed = change(inbox)
        if isinstance(changed, Outcome) and changed in (Outcome.DUP, Outcome.CONFLICT):
            return Posted(outcome=changed)
        now_ms = (await store.now()).now_ms
        (task,) = await store.get([task_id])
        current = task is not None and task.status is TaskStatus.RUNNING and task.attempt == attempt
        if task is None or not current:
            return Posted(outcome=Outcome.STALE)
        if now_ms >= inbox.until_ms:
            return Posted(outcome=Outcome.TOO_LATE)
        if isinstance(changed, Outcome):
            return Posted(outcome=changed)
        outcome = await write_inbox(store, changed, read=version, now_ms=now_ms)
        if outcome is not Outcome.MOVED:
            return Posted(outcome=Outcome.OK, cancel_requested=task.cancel_requested)
