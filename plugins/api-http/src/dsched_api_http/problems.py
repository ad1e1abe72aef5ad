"""Problem documents (RFC 9457): the one form in which the API says no."""

import json
from collections.abc import Mapping, Sequence

import attrs
from aiohttp import web

from dsched.config.problems import path_text
from dsched.config.structuring import FlawedError
from dsched.contracts import EntryError
from dsched.wording import printable

PROBLEM_TYPE = "application/problem+json"
MAX_ERRORS = 50

# code: (status, title). A code is API: it is never renamed.
CODES: Mapping[str, tuple[int, str]] = {
    "bad_request": (400, "The request cannot be read"),
    "unauthenticated": (401, "A valid token is needed"),
    "forbidden": (403, "This is not allowed"),
    "not_found": (404, "There is no such thing"),
    "method_not_allowed": (405, "This address does not know the method"),
    "conflict": (409, "This collides with what is stored"),
    "moved": (409, "Somebody else changed it at the same time"),
    "origin_conflict": (409, "It is declared elsewhere"),
    "too_late": (409, "It has happened already"),
    "not_ended": (409, "The task has not ended"),
    "idempotency_mismatch": (409, "The Idempotency-Key was used for something else"),
    "quota_exceeded": (409, "There are as many as there may be"),
    "precondition_failed": (412, "It is not what it was"),
    "too_large": (413, "The request is too large"),
    "unsupported_media": (415, "The body must be JSON"),
    "invalid": (422, "The request cannot be accepted"),
    "too_many_requests": (429, "Too many requests"),
    "internal": (500, "This is a defect of dsched"),
    "backlog_full": (429, "Too much waits to be run"),
    "too_slow": (408, "The request did not come in time"),
    "busy": (503, "The API has no room for this now"),
    "leaderless": (409, "No pod leads at the moment"),
    "store_unavailable": (503, "The store does not answer"),
    "store_read_only": (503, "The store takes no writes"),
}


@attrs.frozen
class FieldError:
    """One thing that is wrong with a request: at which field, and why."""

    field: str
    reason: str


class Problem(Exception):  # noqa: N818 - the RFC's word
    """Raised by whatever handles a request; answered as a problem document."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        hint: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status, self.title = CODES[code]
        self.detail = detail
        self.errors = tuple(errors)
        self.hint = hint
        self.headers = dict(headers or {})

    @property
    def type(self) -> str:
        """The kind of problem as a URI."""
        return f"about:blank#{self.code}"

    def document(self) -> dict[str, object]:
        """The problem as JSON."""
        found: dict[str, object] = {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.errors:
            found["errors"] = [
                {"field": one.field, "reason": one.reason} for one in self.errors[:MAX_ERRORS]
            ]
        if self.hint:
            found["hint"] = self.hint
        return found

    def response(self) -> web.Response:
        """The problem as an answer."""
        return web.Response(
            status=self.status,
            body=json.dumps(self.document()).encode(),
            headers={"Content-Type": PROBLEM_TYPE, **self.headers},
        )


def invalid(field: str, reason: str, hint: str = "") -> Problem:
    """One field that cannot be accepted."""
    return of_errors([FieldError(field, reason)], hint)


def of_errors(errors: Sequence[FieldError], hint: str = "") -> Problem:
    """All fields that cannot be accepted."""
    shown = "; ".join(f"{one.field}: {one.reason}" if one.field else one.reason for one in errors)
    return Problem("invalid", printable(shown, 1000), errors=errors, hint=hint)


def of_flaws(error: FlawedError) -> Problem:
    """What structuring refused."""
    return of_errors(
        [FieldError(path_text(one.place).rstrip("_"), one.reason) for one in error.flaws]
    )


def of_entry(error: EntryError) -> Problem:
    """What the intake refused."""
    return of_errors([FieldError(field, reason) for field, reason in error.flaws])


def not_found(what: str, name: str) -> Problem:
    """There is no such thing, or it cannot have this name."""
    return Problem("not_found", f"there is no {what} {printable(name)!r} (any more)")
