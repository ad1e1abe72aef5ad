"""How `dsched diff` shows limits, and how `dsched apply` puts and deletes them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dsched_cli.calling import path_of
from dsched_cli.cleaning import clean
from dsched_cli.errors import CliError, ExitCode

if TYPE_CHECKING:
    from dsched_cli.declared_limits import LimitChange, LimitDifference
    from dsched_cli.session import Session

_SIGNS = {"create": "+", "change": "~", "adopt": "~", "delete": "-"}
_WORDS = {
    "create": "is new",
    "change": "changes",
    "adopt": "is taken over",
    "delete": "is deleted",
}


def put_limits(
    session: "Session", found: "LimitDifference"
) -> Iterator[tuple[str, CliError | None]]:
    """Put what is new or changed, and tell of each what was refused."""
    for change in found.puts:
        query = {"origin": change.origin, "adopt": True if change.action == "adopt" else None}
        yield _called(session, "PUT", change, query=query, body=dict(change.new))


def delete_limits(
    session: "Session", found: "LimitDifference"
) -> Iterator[tuple[str, CliError | None]]:
    """Delete what is pruned. What is in use stays, and that is told."""
    for change in found.deletes:
        reason = f"pruned: no longer declared by {change.origin}"
        yield _called(session, "DELETE", change, query={"origin": change.origin, "reason": reason})


def _called(
    session: "Session", method: str, change: "LimitChange", **given: Any
) -> tuple[str, CliError | None]:
    name = f"limit {change.id}"
    try:
        session.api.call(method, path_of("limits", change.id), **given)
    except CliError as error:
        if error.code in (ExitCode.UNREACHABLE, ExitCode.NOT_ALLOWED):
            raise
        return name, None if error.code == ExitCode.NOT_FOUND and method == "DELETE" else error
    return name, None


def limit_lines(found: "LimitDifference") -> Iterator[tuple[str, str]]:
    """What would happen to limits, a sign and a line each."""
    for change in found.changes:
        told = ", ".join(f"{key}: {value}" for key, value in change.new.items())
        more = f" ({told})" if change.action == "create" else ""
        yield _SIGNS[change.action], clean(f"limit {change.id} {_WORDS[change.action]}{more}")
        for key, old, new in change.values if change.action in ("change", "adopt") else ():
            yield "", f"    {clean(key)}: {_shown(old)} -> {_shown(new)}"
    for kept in found.kept:
        yield "", clean(f"= limit {kept.id} stays: {kept.origin} no longer has it; {kept.why}")
    for conflict in found.conflicts:
        yield "", clean(f"! limit {conflict.id} is declared by {conflict.origin}")
    if found.unchanged:
        yield "", f"{found.unchanged} limits unchanged"


def _shown(value: object) -> str:
    return "nothing" if value is None else clean(str(value))


def limit_data(found: "LimitDifference") -> dict[str, Any]:
    """The same as a record."""
    return {
        "changes": [
            {"id": one.id, "origin": one.origin, "action": one.action, "values": dict(one.new)}
            for one in found.changes
        ],
        "conflicts": [{"id": one.id, "origin": one.origin} for one in found.conflicts],
        "kept": [{"id": one.id, "origin": one.origin, "why": one.why} for one in found.kept],
        "unchanged": found.unchanged,
    }
