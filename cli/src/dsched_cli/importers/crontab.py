"""Crontabs, a user's or the system's: schedules as they are, commands as far as dsched has a word.

dsched runs no shell. A plain call of `curl` becomes an HTTP task; any other command becomes a call
of a function that somebody has to register, and is reported.
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import attrs

from dsched.model import CronTrigger
from dsched.planning import InvalidTriggerError, compile_trigger
from dsched_cli.importers.result import Imported, id_of

_SETTING = re.compile(r"\s*(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*)")
# Cron's own habits: it runs what is due beside what still runs, catches nothing up, retries
# nothing.
_HABITS: Mapping[str, Any] = {
    "overlap": "allow",
    "misfire": "skip",
    "timeout": "1d",
    "retry": {"max_retries": 0},
}
_CURL_PLAIN = frozenset({"-s", "-S", "-sS", "-f", "-fsS", "-sSf", "-fs", "-sf", "-q", "--silent"})
_CURL_PLAIN |= {"--show-error", "--fail", "-fsSo/dev/null", "--no-progress-meter"}
_SHELL = re.compile(r"[|&;<>$`]")


@attrs.frozen
class _Line:
    """A job of a crontab, taken apart."""

    number: int
    expression: str
    command: str
    comment: str

    @property
    def where(self) -> str:
        return f"line {self.number}"


def read_crontab(text: str, *, timezone: str, with_user: bool) -> Imported:
    """The jobs of a crontab. ``with_user``: each has a user column, as in ``/etc/crontab``."""
    found = Imported()
    functions: dict[str, str] = {}
    zone, comment = timezone, ""
    for number, raw in enumerate(text.splitlines(), 1):
        stripped = raw.strip()
        if not stripped or stripped.startswith("#"):
            comment = stripped.lstrip("# ").strip() if stripped else ""
            continue
        setting = _SETTING.fullmatch(raw)
        if setting is not None and not stripped.startswith("@"):
            zone = _setting(found, number, name=setting["name"], value=setting["value"], zone=zone)
            continue
        line = _split(found, number, stripped, comment, with_user=with_user)
        comment = ""
        if line is not None:
            _job(found, line, zone, functions)
    return found


def _setting(found: Imported, number: int, *, name: str, value: str, zone: str) -> str:
    """A line that sets a variable; the zone that holds from here on."""
    value = value.strip().strip("'\"")
    if name == "CRON_TZ":
        return value
    if name == "MAILTO" and not value:
        return zone
    what = {
        "MAILTO": "no mail is sent; let an alert of dsched watch failures",
        "SHELL": "there is no shell",
        "TZ": (
            "cron gives it to the commands and does not schedule by it; where yours does, say --tz"
        ),
    }.get(name, "give it to the worker's own environment")
    found.cannot(f"line {number}", f"{name}: {what}")
    return zone


def _split(
    found: Imported, number: int, text: str, comment: str, *, with_user: bool
) -> _Line | None:
    width = 1 if text.startswith("@") else 5
    parts = text.split(None, width + (1 if with_user else 0))
    needed = width + (2 if with_user else 1)
    if len(parts) < needed:
        found.leave_out(f"line {number}", f"is no job: {text[:60]!r}")
        return None
    expression, command = " ".join(parts[:width]), parts[-1]
    if with_user and parts[width] != "root":
        found.cannot(f"line {number}", f"user {parts[width]}: tasks run as the user of the worker")
    return _Line(number, expression, command, comment)


def _job(found: Imported, line: _Line, zone: str, functions: dict[str, str]) -> None:
    if line.expression.lower() == "@reboot":
        found.leave_out(line.where, "@reboot is no instant: let the service manager start it")
        return
    try:
        compile_trigger(CronTrigger(expression=line.expression, timezone=zone))
    except InvalidTriggerError as error:
        hint = "; ~ is H in dsched" if "~" in line.expression else ""
        found.leave_out(line.where, f"{error.field}: {error.reason}{hint}")
        return
    entry: dict[str, Any] = {"name": _plain(line.comment)} if line.comment else {}
    entry["cron_expr"] = line.expression
    if zone != "UTC":
        entry["timezone"] = zone
    called = _curl(line.command)
    if called is not None:
        found.add(_host(called), {**entry, "executor": "http", "payload": called, **_HABITS})
        return
    # A command has a function of its own, by its whole text: two calls of a script are two
    # functions.
    name = functions.get(line.command) or found.free_id(_name(line.command))
    functions[line.command] = name
    payload = {"function": name}
    added = found.add(name, {**entry, "executor": "local", "payload": payload, **_HABITS})
    found.cannot(
        line.where,
        f"dsched runs no shell: {added} calls the function {name!r}; register it with "
        f"@dsched.task({name!r}) so that it does what `{line.command}` does",
    )


def _plain(text: str) -> str:
    """A comment as a name: without control characters, and not too long."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def _curl(command: str) -> dict[str, Any] | None:
    """A plain call of curl as a payload of the http executor; None if it is more than that."""
    plain = re.sub(r"\s*(?:>\s*/dev/null|2>&1|&>\s*/dev/null|2>\s*/dev/null)", "", command)
    if _SHELL.search(plain) or "%" in plain:
        return None
    try:
        words = shlex.split(plain)
    except ValueError:
        return None
    if not words or PurePosixPath(words[0]).name != "curl":
        return None
    return _curl_call(words[1:])


def _curl_call(words: list[str]) -> dict[str, Any] | None:
    call: dict[str, Any] = {}
    headers: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word in _CURL_PLAIN:
            continue
        if word in ("-X", "--request"):
            call["method"] = next(rest, "")
        elif word in ("-H", "--header"):
            name, _, value = next(rest, "").partition(":")
            headers[name.strip()] = value.strip()
        elif word in ("-d", "--data", "--data-raw"):
            body = next(rest, "")
            if body.startswith("@"):
                return None
            call["body"] = body
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        elif word in ("-o", "--output") and next(rest, "") == "/dev/null":
            continue
        elif word.startswith(("http://", "https://")) and "url" not in call:
            call["url"] = word
        else:
            return None
    if "url" not in call:
        return None
    call.setdefault("method", "POST" if "body" in call else "GET")
    return call | ({"headers": headers} if headers else {})


def _host(call: Mapping[str, Any]) -> str:
    address = str(call["url"]).partition("://")[2].partition("?")[0]
    return id_of(address.replace("/", "-"))


def _name(command: str) -> str:
    """What a command is about: its script, or its program."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    interpreters = re.compile(r"(?:ba|z|da)?sh|python[0-9.]*|perl|ruby|php|node|env|nice|cd|flock")
    for word in words:
        name = PurePosixPath(word).name
        assigned = "=" in word.partition("/")[0]
        if name and not word.startswith("-") and not assigned and not interpreters.fullmatch(name):
            return id_of(PurePosixPath(name).stem)
    return "command"
