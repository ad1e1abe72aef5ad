"""What a call may raise: what the server refused, by its code, and what never got an answer.

What the client on a store raises too is of the same classes of `dsched.errors`.
"""

from collections.abc import Mapping, Sequence

import attrs

from dsched import errors
from dsched.errors import ClientError, TaskEndedBadlyError

__all__ = [
    "ApiError",
    "AuthenticationError",
    "ClientError",
    "ConflictError",
    "FieldFlaw",
    "ForbiddenError",
    "InvalidError",
    "NotFoundError",
    "PreconditionError",
    "Problem",
    "ProtocolError",
    "TaskEndedBadlyError",
    "TooManyRequestsError",
    "UnavailableError",
    "UnreachableError",
    "refusal",
]


class UnreachableError(ClientError, errors.NoAnswerError):
    """There was no answer; ``maybe_applied`` tells whether the call may have happened."""

    def __init__(self, message: str, *, maybe_applied: bool) -> None:
        super().__init__("unreachable", message)
        self.maybe_applied = maybe_applied


class ProtocolError(ClientError):
    """An answer that does not come from the API: another server, a proxy's page, a redirect."""

    def __init__(self, message: str) -> None:
        super().__init__("protocol", message)


@attrs.frozen
class FieldFlaw:
    """What is wrong with one field of a request."""

    field: str
    reason: str


@attrs.frozen(kw_only=True)
class Problem:
    """A problem document of the API (RFC 9457)."""

    status: int
    code: str
    title: str
    detail: str = ""
    errors: tuple[FieldFlaw, ...] = ()
    hint: str = ""
    retry_after_s: float | None = None

    def __str__(self) -> str:
        """What, why, and what to do."""
        flaws = "; ".join(f"{flaw.field}: {flaw.reason}" for flaw in self.errors)
        parts = (self.detail or self.title, flaws, self.hint)
        return f"{self.status} {self.code}: " + " | ".join(part for part in parts if part)


class ApiError(ClientError):
    """The server refused; ``problem`` is its whole answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code, str(problem))
        self.problem = problem

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def errors(self) -> Sequence[FieldFlaw]:
        """What is wrong, field by field."""
        return self.problem.errors


class AuthenticationError(ApiError):
    """No token, or one that is not (any longer) valid."""


class ForbiddenError(ApiError):
    """The token's scope does not allow this."""


class NotFoundError(ApiError, errors.NotFoundError):
    """There is no such thing (any more)."""


class ConflictError(ApiError, errors.ConflictError):
    """Taken, moved, another origin's, or too late; ``code`` says which."""


class PreconditionError(ApiError, errors.PreconditionError):
    """It is not the revision that the call was meant for; nothing was changed."""


class InvalidError(ApiError, errors.RefusedError, ValueError):
    """The request is wrong; ``errors`` names the fields."""


class TooManyRequestsError(ApiError):
    """Slow down; ``problem.retry_after_s`` says how long."""


class UnavailableError(ApiError, errors.NoAnswerError):
    """The server, or the store behind it, cannot answer now."""

    maybe_applied = True


_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: InvalidError,
    401: AuthenticationError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    412: PreconditionError,
    413: InvalidError,
    415: InvalidError,
    422: InvalidError,
    429: TooManyRequestsError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}


def refusal(problem: Problem) -> ApiError:
    """The exception of a problem."""
    return _BY_STATUS.get(problem.status, ApiError)(problem)
