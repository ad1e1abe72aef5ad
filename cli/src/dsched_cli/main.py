"""`dsched`: operate a cluster from a terminal. The console script and its exit codes."""

import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from importlib import metadata

import click

from dsched_cli.cleaning import clean, clean_block
from dsched_cli.errors import CliError, ExitCode
from dsched_cli.session import common_options
from dsched_cli.tree import Tree

# A command reads much, keeps it, and ends: its values are no garbage to look for over and over.
COLLECT_AFTER = 100_000

EPILOG = """\b
Exit codes: 0 ok, 1 the thing asked about failed, 2 usage, 3 not found,
4 not allowed, 5 conflict or precondition, 6 differences found, 7 server
unreachable, 8 partly done, 124 wait timed out, 130 interrupted.

\b
Environment: DSCHED_URL, DSCHED_TOKEN or DSCHED_TOKEN_FILE, DSCHED_PROFILE,
DSCHED_TZ, NO_COLOR. Profiles: ~/.config/dsched/profiles.yaml.
"""


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"dsched {metadata.version('dsched-cli')}")
        ctx.exit()


@click.command(cls=Tree, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@common_options
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def root(**_: object) -> None:
    """Operate a dsched cluster: dsched NOUN VERB [NAME|ID] [flags]."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the answer is the exit code."""
    gc.set_threshold(COLLECT_AFTER)
    stdout = sys.stdout
    try:
        answer = root.main(
            args=None if argv is None else list(argv), prog_name="dsched", standalone_mode=False
        )
        sys.stdout.flush()
    except CliError as error:
        return _complain(error.what, error.why, error.todo, error.code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return ExitCode.USAGE
    except click.UsageError as error:
        return _usage(error)
    except click.ClickException as error:
        return _complain(error.format_message(), "", "", ExitCode.USAGE)
    except (click.Abort, KeyboardInterrupt):
        click.echo("dsched: interrupted", err=True)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return ExitCode.OK
    except SystemExit as error:
        # So click ends after a completion, and when the reader has gone: then it wraps stdout.
        gone = sys.stdout is not stdout
        return ExitCode.OK if gone or not isinstance(error.code, int) else error.code
    return answer if isinstance(answer, int) else ExitCode.OK


def _complain(what: str, why: str, todo: str, code: ExitCode) -> int:
    """Three lines: what, why, what to do."""
    click.echo(f"dsched: {clean(what)}", err=True)
    for label, text in (("because", why), ("try", todo)):
        if text:
            click.echo(f"{label}: {clean_block(text)}", err=True)
    return code


def _usage(error: click.UsageError) -> int:
    ctx = error.ctx
    command = "dsched" if ctx is None else ctx.command_path
    usage = "" if ctx is None else clean(" ".join(ctx.get_usage().split()))
    what = clean(error.format_message()).rstrip(".")
    return _complain(what, usage, f"`{command} --help` explains it", ExitCode.USAGE)


def _forget_stdout() -> None:
    """The reader has gone (``| head``): the interpreter must not complain about it at its end."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
