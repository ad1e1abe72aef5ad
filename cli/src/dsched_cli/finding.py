"""From what somebody typed to the id that was meant: exact, a unique prefix, or a suggestion."""

import difflib
from collections.abc import Callable, Iterable
from itertools import chain
from typing import TypeVar

from dsched_cli.calling import path_of
from dsched_cli.cleaning import clean
from dsched_cli.errors import ApiError, CliError, ExitCode
from dsched_cli.selecting import Configs, living, tasks_of
from dsched_cli.session import Session

A = TypeVar("A")

# How many ids are searched for a prefix; beyond that an id must be given in full.
MAX_SEARCHED = 5_000
_LISTED = 500


def call_config(session: Session, given: str, call: Callable[[str], A]) -> A:
    """Make a call with a config's id; if there is none, with the one id that begins like it."""
    return _call(given, call, "config", lambda: _ids(session, "/configs"))


def call_worker(session: Session, given: str, call: Callable[[str], A]) -> A:
    """Make a call with a worker's id; if there is none, with the one id that begins like it."""
    return _call(given, call, "worker", lambda: _ids(session, "/workers"))


def call_limit(session: Session, given: str, call: Callable[[str], A]) -> A:
    """Make a call with a limit's id; if there is none, with the one id that begins like it."""
    return _call(given, call, "limit", lambda: _ids(session, "/limits"))


def call_token(session: Session, given: str, call: Callable[[str], A]) -> A:
    """Make a call with a token's id; if there is none, with the one id that begins like it."""
    return _call(given, call, "token", lambda: _ids(session, "/tokens"))


def call_task(session: Session, given: str, call: Callable[[str], A]) -> A:
    """Make a call with a task's id; if there is none, with the one id that begins like it.

    It searches the tasks of the config named before ``@``, else the latest that ended, a page of
    each status; and those that wait or run, a page of each home.
    """
    return _call(given, call, "task", lambda: _task_ids(session, given))


def _call(given: str, call: Callable[[str], A], what: str, known: Callable[[], Iterable[str]]) -> A:
    try:
        return call(given)
    except ApiError as error:
        if error.kind != "not_found":
            raise
        return call(_only(given, what, list(dict.fromkeys(known())), error))


def _only(given: str, what: str, ids: list[str], error: ApiError) -> str:
    found = [one for one in ids if one.startswith(given)]
    if len(found) == 1 and found[0] != given:
        return found[0]
    shown = clean(given)
    if len(found) > 1:
        raise CliError(
            f"{shown!r} is not one {what}",
            why=f"{len(found)} begin like that: {', '.join(map(clean, found[:5]))}"
            + (" ..." if len(found) > 5 else ""),
            todo="add letters until only one is meant",
            code=ExitCode.NOT_FOUND,
        )
    if given in ids:  # it is there, so something else was not found
        error.todo = error.todo or (
            "the server may be older than this command: `dsched doctor` compares them"
        )
        raise error
    close = difflib.get_close_matches(given[:128], ids, n=1, cutoff=0.6)
    meant = f"did you mean {clean(close[0])!r}? " if close else ""
    told = clean(error.problem.get("hint") or "")
    raise CliError(
        f"there is no {what} {shown!r}",
        why=f"none has this id, and none of the {len(ids)} looked at begins like it"
        + (f". {told}" if told else ""),
        todo=f"{meant}`dsched {what} list` shows what there is",
        code=ExitCode.NOT_FOUND,
    )


def _ids(session: Session, path: str) -> list[str]:
    return [str(one["id"]) for one in session.api.items(path, most=MAX_SEARCHED)]


def _task_ids(session: Session, given: str) -> Iterable[str]:
    config_id, at, _ = given.partition("@")
    if at:
        return (str(one["id"]) for one in tasks_of(session, Configs(of=config_id), most=_LISTED))
    ended = (
        one
        for status in ("success", "failed", "cancelled")
        for one in session.api.items("/tasks", most=_LISTED, status=status)
    )
    return (str(one["id"]) for one in chain(living(session), ended))


def config_path(config_id: str, *more: str) -> str:
    """The path of a config or of something of it."""
    return path_of("configs", config_id, *more)


def task_path(task_id: str, *more: str) -> str:
    """The path of a task or of something of it."""
    return path_of("tasks", task_id, *more)
