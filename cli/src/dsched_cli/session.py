"""What every command of the API has: its options, the connection, and how results are written."""

import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, tzinfo
from itertools import islice
from typing import Any, Concatenate, ParamSpec, TypeVar

import attrs
import click

from dsched_cli.calling import Api
from dsched_cli.cleaning import clean
from dsched_cli.connection import Target, find_target, plain_text_token
from dsched_cli.errors import UsageError
from dsched_cli.output import FORMATS, Column, Output, output_for, say
from dsched_cli.times import zone_of

P = ParamSpec("P")
R = TypeVar("R")

_OUTPUT_OPTIONS = (
    click.option(
        "-o",
        "--output",
        "output_format",
        type=click.Choice(FORMATS),
        help="How to write the result; json has the API's own fields.  [default: table]",
    ),
    click.option(
        "--tz", metavar="ZONE", help="Show times in this zone (IANA name; default: this machine's)."
    ),
)
_CONNECTION_OPTIONS = (
    click.option(
        "--url", metavar="URL", help="Where the API is; else DSCHED_URL, else the profile."
    ),
    click.option(
        "--token",
        metavar="@FILE",
        help="File with the token. A token itself is taken too, but other users of the machine can "
        "read it there; better set DSCHED_TOKEN or a profile.",
    ),
    click.option(
        "--profile", metavar="NAME", help="A server of the profiles file; else DSCHED_PROFILE."
    ),
    click.option(
        "--local",
        is_flag=True,
        default=None,
        help="Without a server: answer from the store of the configuration, for this command only.",
    ),
    click.option(
        "--config",
        "config_file",
        metavar="FILE",
        help="With --local: the configuration of the pod; default: dsched.db in this folder.",
    ),
)
# Commands that may make a missing store with --local, because they put something into it.
_CREATING = frozenset({"apply", "config put", "limit set", "task submit", "token create"})
_COMMON = ("output_format", "tz", "url", "token", "profile", "local", "config_file")


@attrs.frozen
class Session:
    """One command at work. The connection is made when it is first needed."""

    options: Mapping[str, Any]
    output: Output
    _stack: ExitStack
    _opened: list[Api] = attrs.field(factory=list, repr=False)

    @property
    def api(self) -> Api:
        """The server, or a pod of this command's own with ``--local``."""
        if not self._opened:
            self._opened.append(self._stack.enter_context(self._connect()))
        return self._opened[0]

    @property
    def zone(self) -> tzinfo:
        """Where times are read and shown."""
        return self.output.zone

    @property
    def now(self) -> datetime:
        """This machine's time; only for what is typed relative to it."""
        return datetime.now(UTC)

    def show_list(
        self, path: str, columns: Sequence[Column], *, limit: int | None, **query: object
    ) -> None:
        """Write a list of the API and say when there was more than asked for."""
        asked: dict[str, Any] = {name: value for name, value in query.items() if value is not None}
        most = None if limit is None else limit + 1
        self.show_items(self.api.items(path, most=most, **asked), columns, limit=limit)

    def show_items(
        self, items: Iterable[Any], columns: Sequence[Column], *, limit: int | None
    ) -> None:
        """Write items of the API and say when there are more than asked for."""
        if limit is None:
            self.output.records(items, columns)
            return
        found = list(islice(items, limit + 1))
        self.output.records(found[:limit], columns)
        if len(found) > limit:
            say(f"only the first {limit} are shown; use --limit N, or --all")

    def _connect(self) -> Api:
        if self.options.get("local"):
            from dsched_cli.local import local_api

            may_create = self.options.get("command") in _CREATING
            config_file = self.options.get("config_file")
            return self._stack.enter_context(local_api(config_file, may_create=may_create))
        target = self.target
        if plain_text_token(target):
            say(f"warning: the token goes to {clean(target.url)} unencrypted; use https")
        return Api(target.url, token=target.token, ca_file=target.ca_file)

    @property
    def target(self) -> Target:
        """The server that the options, the environment and the profile mean."""
        options = self.options
        return find_target(
            os.environ,
            url=options.get("url"),
            token=_given_token(options.get("token")),
            profile=options.get("profile"),
        )


def output_options(function: Callable[..., R]) -> Callable[..., R]:
    """Add ``-o`` and ``--tz``."""
    for option in reversed(_OUTPUT_OPTIONS):
        function = option(function)
    return function


def common_options(function: Callable[..., R]) -> Callable[..., R]:
    """Add what every command of the API takes."""
    for option in reversed(_CONNECTION_OPTIONS):
        function = option(function)
    return output_options(function)


def asks_api(function: Callable[Concatenate[Session, P], R]) -> Callable[..., R]:
    """Make a command whose first argument is a `Session`, with the options that all share.

    An option given before the noun (``dsched --url ... task list``) holds unless given again.
    """

    @click.pass_context
    def run(ctx: click.Context, /, *args: Any, **given: Any) -> R:
        above = ctx.find_root().params
        options = {}
        for name in _COMMON:
            own = given.pop(name, None)
            options[name] = above.get(name) if own is None else own
        _, _, options["command"] = ctx.command_path.partition(" ")
        with open_session(options) as session:
            return function(session, *args, **given)

    return common_options(functools.update_wrapper(run, function))


@contextmanager
def open_session(options: Mapping[str, Any]) -> Iterator[Session]:
    """A session of these options; whatever it opens is closed at the end."""
    zone_name = options.get("tz") or os.environ.get("DSCHED_TZ") or ""
    output = output_for(options.get("output_format") or "table", zone_of(zone_name))
    if options.get("config_file") and not options.get("local"):
        raise UsageError(
            "--config names the configuration of a pod",
            why="without --local the server has its own",
            todo="add --local, or leave --config out",
        )
    with ExitStack() as stack:
        yield Session(options, output, stack)


def _given_token(text: str | None) -> str | None:
    """``@FILE`` is a file with the token, as in a profile."""
    if text is None or not text.startswith("@"):
        return text
    from pathlib import Path

    from dsched_cli.connection import read_token

    return read_token(Path(text[1:]).expanduser())


def list_options(function: Callable[..., R]) -> Callable[..., R]:
    """Add ``--limit`` and ``--all`` to a list; the command gets ``limit`` (None: all)."""

    @functools.wraps(function)
    def run(*args: Any, limit: int, show_all: bool, **given: Any) -> R:
        return function(*args, limit=None if show_all else limit, **given)

    run = click.option("--all", "show_all", is_flag=True, help="Show all, page by page.")(run)
    return click.option(
        "--limit",
        type=click.IntRange(1, 100_000),
        default=50,
        show_default=True,
        help="Show at most so many.",
    )(run)


def reason_option(required: bool) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Add ``--reason``."""
    text = "Why; shown wherever the effect is visible."
    if required:  # click takes any default, None too, as an answer
        return click.option("--reason", metavar="TEXT", required=True, help=text)
    return click.option("--reason", metavar="TEXT", default="", help=text)


yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone; off a terminal only ``--yes`` answers."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "this needs a confirmation", why=question, todo="repeat it with --yes to agree"
        )
    if not click.confirm(question, err=True):
        raise click.Abort
