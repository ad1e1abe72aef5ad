"""`dsched config backfill`: run past instants, counted first, then page by page to the end."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from dsched_cli import columns
from dsched_cli.cleaning import clean
from dsched_cli.completing import config_ids
from dsched_cli.errors import ExitCode
from dsched_cli.finding import call_config, config_path
from dsched_cli.output import say
from dsched_cli.params import given_params, param_option
from dsched_cli.session import Session, asks_api, confirm, reason_option, yes_option
from dsched_cli.times import parse_instant
from dsched_cli.watching import wait_for_end
from dsched_client.instants import rfc3339

MAX_PAGES = 1_000
_COUNTED_PAGES = 20


@click.command()
@asks_api
@click.argument("config_id", metavar="ID", shell_complete=config_ids)
@click.option("--from", "first", required=True, metavar="TIME", help="The first instant.")
@click.option("--to", "last", required=True, metavar="TIME", help="The last instant.")
@click.option("--again", is_flag=True, help="Also those that ran when they were due.")
@click.option("--key", metavar="KEY", default="", help="Another key makes other tasks.")
@param_option
@click.option(
    "--wait",
    "waits",
    is_flag=True,
    help="Where runs may not overlap, wait for each and go on; else one call makes one.",
)
@click.option(
    "--timeout",
    metavar="SPAN",
    default="10m",
    show_default=True,
    help="How long --wait waits for one run; then exit with 124.",
)
@reason_option(required=True)
@yes_option
@click.option("--dry-run", is_flag=True, help="Only list the instants.")
def backfill(
    session: Session,
    config_id: str,
    *,
    first: str,
    last: str,
    again: bool,
    key: str,
    params: tuple[str, ...],
    waits: bool,
    timeout: str,
    reason: str,
    yes: bool,
    dry_run: bool,
) -> int:
    """Run the instants of a past span that did not run. The same again makes no second task.

    Exits with 8 when a run must end first and --wait was not given.
    """
    found = call_config(session, config_id, lambda one: session.api.get(config_path(one)))
    path = config_path(str(found["id"]), "backfill")
    body: dict[str, Any] = {
        "from": rfc3339(parse_instant(first, session.zone, session.now)),
        "to": rfc3339(parse_instant(last, session.zone, session.now)),
        "reason": reason,
        "again": again,
    } | ({"key": key} if key else {})
    if params:
        body["params"] = given_params(found, params)
    plan = _count(session, path, body)
    owed = _owed(plan)
    counted = "1 instant" if len(owed) == 1 else f"{len(owed)} instants"
    say(f"{counted} to run: {_span_of(owed)}{'' if plan['done'] else ' ...'}")
    if dry_run or not owed:
        session.output.record(plan, columns.BACKFILL, key="count")
        return ExitCode.OK
    confirm(f"Run {counted} of {clean(found['id'])}?", yes=yes)
    done = _run(session, path, body, timeout if waits else None)
    session.output.record(done, columns.BACKFILL, key="count")
    return ExitCode.OK if done["done"] else ExitCode.PARTLY


def _pages(session: Session, path: str, body: Mapping[str, Any], most: int) -> Iterator[Any]:
    """Answers, each going on where the one before ended."""
    asked = dict(body)
    for _ in range(most):
        answer = session.api.post(path, asked)
        yield answer
        if answer["done"] or not answer.get("next_from"):
            return
        asked["from"] = answer["next_from"]


def _count(session: Session, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """What there is to run, without running it; for a very long span, its beginning."""
    total = _nothing()
    for answer in _pages(session, path, {**body, "dry_run": True}, _COUNTED_PAGES):
        _add(total, answer)
    return total


def _run(
    session: Session, path: str, body: Mapping[str, Any], timeout: str | None
) -> dict[str, Any]:
    """Make the tasks; where runs may not overlap, each must end before the next."""
    total = _nothing()
    for answer in _pages(session, path, body, MAX_PAGES):
        _add(total, answer)
        blocker = answer.get("waits_for")
        if not answer["done"]:
            say(f"{total['count']} tasks so far")
        if blocker and not answer["done"]:
            if timeout is None:
                say(f"{clean(blocker)} must end first: repeat the command then, or use --wait")
                break
            wait_for_end(session, str(blocker), timeout)
    return total


def _nothing() -> dict[str, Any]:
    return {"instants": [], "fired": [], "known": [], "tasks": [], "count": 0, "done": True}


def _add(total: dict[str, Any], answer: Mapping[str, Any]) -> None:
    """Pages may begin with the instant that the one before ended with: its first answer counts."""
    seen = set(total["instants"])
    for name in ("instants", "fired", "known"):
        total[name] += [one for one in answer.get(name) or [] if one not in seen]
    total["tasks"] += answer.get("tasks") or []
    total["count"] = len(total["tasks"])
    total["done"] = bool(answer["done"])


def _owed(plan: Mapping[str, Any]) -> list[Any]:
    left_out = {*plan["fired"], *plan["known"]}
    return [one for one in plan["instants"] if one not in left_out]


def _span_of(instants: list[Any]) -> str:
    if not instants:
        return "none"
    return clean(instants[0]) + (f" to {clean(instants[-1])}" if len(instants) > 1 else "")
