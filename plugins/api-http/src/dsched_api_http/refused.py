"""Errors of the client and of the intake, as problem documents."""

from dsched.client import ClientError, NotFoundError, PreconditionError, RefusedError
from dsched.contracts import EntryError
from dsched.model import InvalidConfigError
from dsched_api_http.problems import Problem, invalid, of_entry

_CONFLICTS = {"MOVED": "moved"} | {
    code: code for code in ("origin_conflict", "not_ended", "too_late")
}
_REFUSED = {"TOO_LATE": "too_late", "FULL": "quota_exceeded", "OLDER": "conflict"}


def problem_of(error: Problem | ClientError | EntryError | InvalidConfigError) -> Problem:
    """The problem document for an error that a handler has raised."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, EntryError):
        return of_entry(error)
    if isinstance(error, InvalidConfigError):
        return invalid(error.field, error.reason)
    if isinstance(error, NotFoundError):
        if error.code == "LEADERLESS":
            return Problem("leaderless", str(error), headers={"Retry-After": "5"})
        return Problem("not_found", str(error), hint=error.broken)
    if isinstance(error, RefusedError):
        return Problem(_REFUSED.get(error.code, "invalid"), str(error))
    if isinstance(error, PreconditionError):
        return Problem("precondition_failed", str(error))
    return Problem(_CONFLICTS.get(error.code, "conflict"), str(error))
