"""How an executor lets its target complete the attempt later, by the HTTP API."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable
from urllib.parse import quote

from dsched.contracts.executor import TaskFailed
from dsched.contracts.executor.context import ExecutionContext
from dsched.model import TaskResult

TOKEN_HEADER = "X-Dsched-Callback-Token"  # noqa: S105 - the name of a header
URL_HEADER = "X-Dsched-Callback-Url"


class Callback(Protocol):
    """What one attempt of a target that calls back goes by."""

    async def earlier(self) -> TaskResult | None:
        """What the target has said of an attempt of this task before this one, which its worker
        could not report any more; None if there is nothing. Raises `TaskFailed` if it said so."""

    async def expect(self) -> str:
        """Make the attempt ready to be called back, and the token for it: before the target is
        told. Good until the attempt's timeout, and for this attempt alone."""

    async def wait(self) -> TaskResult:
        """What the target says. Its lines and its progress are taken over meanwhile. Raises
        `TaskFailed` if it says so; ends by a cancel, as everything does, on timeout or cancel."""


@runtime_checkable
class CalledBack(Protocol):
    """The context of an attempt that can be called back: an ability apart, which a worker's
    attempts have, and those of children and tests have not."""

    @property
    def callback(self) -> Callback:
        """How its target completes it later."""


def callback_of(context: ExecutionContext) -> Callback:
    """The attempt's callback; a `TaskFailed` where it can have none."""
    if not isinstance(context, CalledBack):
        raise TaskFailed(
            "this attempt cannot be called back: it is of no worker of a pod",
            "callback",
            retryable=False,
        )
    return context.callback


def callback_headers(base: str, task_id: str, attempt: int, token: str) -> Mapping[str, str]:
    """What the target is told: where to call, and with which token."""
    path = f"/api/v1/tasks/{quote(task_id, safe='')}/attempts/{attempt}"
    return {URL_HEADER: f"{base.rstrip('/')}{path}", TOKEN_HEADER: token}


def callback_url_problem(url: str) -> str | None:
    """What is wrong with the address of the API that targets are told, or None."""
    if not url:
        return None
    usable = url.startswith(("http://", "https://")) and url.isascii() and " " not in url
    if not usable or "?" in url or "#" in url:
        return (
            "must be the address of the API as targets reach it, such as "
            f"https://dsched.internal:8700, got {url!r}"
        )
    return None
