"""`dsched apply` and `dsched diff`: make the cluster what task files say, and see it first."""

import json
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from dsched_cli.applying_limits import delete_limits, limit_data, limit_lines, put_limits
from dsched_cli.cleaning import clean
from dsched_cli.errors import CliError, ExitCode, UsageError
from dsched_cli.finding import config_path
from dsched_cli.output import say, write
from dsched_cli.session import Session, asks_api, confirm, yes_option
from dsched_cli.times import ms_of, parse_span

if TYPE_CHECKING:
    from dsched_cli.declared import Change, Difference
    from dsched_cli.progress import Progress

_PUTS = ("create", "change", "adopt")
_SIGNS = {
    "create": "+",
    "change": "~",
    "adopt": "~",
    "orphan": "-",
    "delete": "-",
    "resume": "~",
}
_WORDS = {
    "create": "is new",
    "change": "changes",
    "adopt": "is taken over",
    "orphan": "is paused as orphaned",
    "delete": "is deleted",
    "resume": "fires again",
}
_SHOWN_NAMES = 20

_FILES = click.option(
    "-f",
    "--file",
    "files",
    metavar="FILE|DIR",
    multiple=True,
    required=True,
    help="Task file, or a folder of them; repeatable.",
)
_ADOPT = click.option("--adopt", is_flag=True, help="Take over what other origins declare.")
_PRUNE = click.option(
    "--prune", is_flag=True, help="Delete what vanished from its file, instead of pausing it."
)
_ORIGIN = click.option(
    "--origin",
    metavar="ORIGIN",
    help="Declare as this origin (file:NAME, api), not as the file's own name.",
)
_HORIZON = click.option(
    "--horizon",
    metavar="SPAN",
    default="30d",
    show_default=True,
    help="How far ahead the fires are compared.",
)


@click.command()
@asks_api
@_FILES
@_PRUNE
@_ADOPT
@_ORIGIN
@_HORIZON
def diff(
    session: Session,
    files: tuple[str, ...],
    *,
    prune: bool,
    adopt: bool,
    origin: str | None,
    horizon: str,
) -> int:
    """Show what apply would change, in configs and in fires; exit 6 if anything."""
    found = _compare(session, files, prune=prune, adopt=adopt, origin=origin, horizon=horizon)
    _show(session, found, horizon)
    different = (found.changes, found.conflicts, found.limits.changes, found.limits.conflicts)
    return ExitCode.DIFFERENT if any(different) else ExitCode.OK


@click.command()
@asks_api
@_FILES
@_PRUNE
@_ADOPT
@_ORIGIN
@_HORIZON
@yes_option
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
def apply(
    session: Session,
    files: tuple[str, ...],
    *,
    prune: bool,
    adopt: bool,
    origin: str | None,
    horizon: str,
    yes: bool,
    dry_run: bool,
) -> int:
    """Make the cluster's configs and limits of a file those that the file declares.

    Each file owns what it declares. What vanished from it is paused as orphaned, or deleted with
    --prune; what other files, code or people declared is left alone. A limit that vanished is
    deleted with --prune, unless it is in use.
    """
    found = _compare(session, files, prune=prune, adopt=adopt, origin=origin, horizon=horizon)
    _show(session, found, horizon)
    _refuse_conflicts(found)
    if dry_run:
        say("nothing was changed (--dry-run)")
        return ExitCode.OK
    for what, doomed in (("configs", found.of("delete")), ("limits", found.limits.deletes)):
        if doomed:
            names = ", ".join(clean(one.id) for one in doomed[:_SHOWN_NAMES])
            more = " ..." if len(doomed) > _SHOWN_NAMES else ""
            confirm(f"Delete {len(doomed)} {what}: {names}{more}?", yes=yes)
    return _carry_out(session, found)


def _compare(
    session: Session,
    files: tuple[str, ...],
    *,
    prune: bool,
    adopt: bool,
    origin: str | None,
    horizon: str,
) -> "Difference":
    from dsched.model import is_origin
    from dsched_cli.declared import difference

    if origin is not None and not is_origin(origin):
        raise UsageError(
            f"{clean(origin)!r} is no origin", todo="write file:NAME, code:NAME or api"
        )
    span = parse_span(horizon, "--horizon")
    if span > timedelta(days=366):
        raise UsageError("--horizon is longer than a year", todo="choose a shorter one")
    first_ms = ms_of(session.now)
    return difference(
        session,
        files,
        origin=origin,
        adopt=adopt,
        prune=prune,
        first_ms=first_ms,
        last_ms=first_ms + span // timedelta(milliseconds=1),
    )


def _refuse_conflicts(found: "Difference") -> None:
    limits, conflicts = found.limits.conflicts, found.conflicts
    if not conflicts and not limits:
        return
    names = ", ".join(
        f"{what}{clean(one.id)} ({clean(one.origin)})"
        for what, some in (("limit ", limits), ("", conflicts))
        for one in some[:10]
    )
    counts = [(len(conflicts), "configs"), (len(limits), "limits")]
    raise CliError(
        f"{' and '.join(f'{count} {what}' for count, what in counts if count)} are declared "
        "elsewhere",
        why=f"{names}; nothing was changed",
        todo="remove them from the file, or take them over with --adopt",
        code=ExitCode.CONFLICT,
    )


def _carry_out(session: Session, found: "Difference") -> int:
    """Carry out every change; one that is refused is reported and leaves the others alone."""
    from dsched_cli.progress import Progress

    failed = 0
    total = len(found.changes) + len(found.limits.changes)
    with Progress("applying changes", total) as progress:
        for name, error in _all_acted(session, found, progress):
            failed += 1
            progress.clear()
            say(f"{clean(name)}: {error.what}: {error.why}")
    unchanged = found.unchanged + found.limits.unchanged
    more = f", {failed} failed" if failed else ""
    say(f"{total - failed} changed, {unchanged} unchanged{more}")
    return ExitCode.PARTLY if failed else ExitCode.OK


def _all_acted(
    session: Session, found: "Difference", progress: "Progress"
) -> "Iterator[tuple[str, CliError]]":
    """Limits before the tasks that name them; those that go, after."""
    yield from _limits_acted(put_limits(session, found.limits), progress)
    yield from _acted(session, found.changes, progress)
    yield from _limits_acted(delete_limits(session, found.limits), progress)


def _limits_acted(
    done: "Iterable[tuple[str, CliError | None]]", progress: "Progress"
) -> "Iterator[tuple[str, CliError]]":
    for name, error in done:
        progress.add(1)
        if error is not None:
            yield name, error


def _acted(
    session: Session, changes: "Iterable[Change]", progress: "Progress"
) -> "Iterator[tuple[str, CliError]]":
    """Carry the changes out in their order, puts by batches, and tell what was refused."""
    from dsched_cli.putting import Wanted, put_many

    for puts, group in groupby(changes, key=lambda one: one.action in _PUTS):
        if puts:
            wanted = [
                Wanted(
                    id=one.id,
                    text=one.text,
                    origin=one.origin,
                    adopt=one.action == "adopt",
                )
                for one in group
            ]
            for done in put_many(session, wanted, dry_run=False, progress=progress):
                if done.error is not None:
                    yield done.id, done.error
            continue
        for change in group:
            try:
                _act(session, change)
            except CliError as error:
                if error.code in (ExitCode.UNREACHABLE, ExitCode.NOT_ALLOWED):
                    raise
                yield change.id, error
            progress.add(1)


def _act(session: Session, change: "Change") -> None:
    """A change that is no put; each is safe to repeat."""
    path = config_path(change.id)
    if change.action == "orphan":
        reason = f"no longer declared by {change.origin}"
        body = {"reason": reason, "orphan_of": change.origin}
        session.api.post(config_path(change.id, "pause"), body)
    elif change.action == "delete":
        reason = f"pruned: no longer declared by {change.origin}"
        session.api.call("DELETE", path, query={"origin": change.origin, "reason": reason})
    else:
        session.api.post(config_path(change.id, "resume"), {"reason": "declared again"})


def _warn(found: "Difference") -> None:
    """The server's warnings about configs that are allowed but probably a mistake."""
    for change in found.changes:
        for warning in (change.new or {}).get("warnings") or ():
            say(f"warning: {clean(change.id)}: {clean(warning)}")


def _show(session: Session, found: "Difference", horizon: str) -> None:
    _warn(found)
    if session.output.format not in ("table", "wide"):
        _show_data(session, found, horizon)
        return
    write("\n".join(_lines(session, found, horizon)))  # each line of its own is a call of its own


def _lines(session: Session, found: "Difference", horizon: str) -> "Iterator[str]":
    output = session.output
    colours = {"+": "success", "-": "failed", "~": "retrying"}
    for sign, line in limit_lines(found.limits):
        yield output.state(f"{sign} {line}", as_state=colours[sign]) if sign else line
    for change in found.changes:
        sign = _SIGNS[change.action]
        line = f"{sign} {clean(change.id)} {_WORDS[change.action]}"
        fires = _fires_text(change.fires)
        yield output.state(f"{line}{f' ({fires})' if fires else ''}", as_state=colours[sign])
        for key, before, after in change.values if change.action in ("change", "adopt") else ():
            yield f"    {clean(key)}: {_short(before)} -> {_short(after)}"
    for conflict in found.conflicts:
        yield f"! {clean(conflict.id)} is declared by {clean(conflict.origin)}"
    yield f"{found.unchanged} unchanged"
    yield f"next {horizon}: {_fires_text(found.fires) or 'no run removed or added'}"


def _fires_text(fires: Any) -> str:
    words = []
    if fires.removed:
        words.append(f"{fires.removed} runs removed")
    if fires.added:
        words.append(f"{fires.added} added")
    return ", ".join(words)


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return clean(text if len(text) <= 60 else text[:57] + "...")


def _show_data(session: Session, found: "Difference", horizon: str) -> None:
    from dsched_cli.output import Column

    records = [
        {
            "id": one.id,
            "origin": one.origin,
            "action": one.action,
            "keys": one.keys,
            "fires": {"removed": one.fires.removed, "added": one.fires.added},
        }
        for one in found.changes
    ]
    if session.output.format in ("json", "yaml"):
        record = {
            "changes": records,
            "conflicts": [{"id": one.id, "origin": one.origin} for one in found.conflicts],
            "unchanged": found.unchanged,
            "limits": limit_data(found.limits),
            "horizon": horizon,
            "fires": {"removed": found.fires.removed, "added": found.fires.added},
        }
        session.output.record(record, ())
        return
    rows: list[dict[str, Any]] = [
        {"id": f"limits/{one.id}", "origin": one.origin, "action": one.action}
        for one in found.limits.changes
    ]
    columns = (
        Column("ID", "id"),
        Column("ACTION", "action"),
        Column("ORIGIN", "origin"),
        Column("REMOVED", "fires.removed", kind="number"),
        Column("ADDED", "fires.added", kind="number"),
    )
    session.output.records([*rows, *records], columns)
