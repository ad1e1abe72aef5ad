"""`dsched plugin`: what is installed, whether a plugin keeps the contract, and new projects."""

from pathlib import Path
from typing import Any

import attrs
import click

from dsched_cli import columns
from dsched_cli.cleaning import clean
from dsched_cli.errors import ExitCode, UsageError
from dsched_cli.output import Column, say, write
from dsched_cli.session import Session, asks_api, open_session, output_options

_CHECKS = (
    Column("PLUGIN", "check"),
    Column("STATE", "state", kind="state"),
    Column("DETAIL", "detail"),
    Column("TRY", "todo"),
)


@click.group()
def plugin() -> None:
    """Plugins: list, check, and start new ones."""


@plugin.command(name="list")
@asks_api
@click.option(
    "--server", "of_server", is_flag=True, help="Those of the server, not of this machine."
)
def list_(session: Session, of_server: bool) -> None:
    """List installed plugins with the distributions they come from."""
    if of_server:
        found = session.api.get("/plugins")
        items = found["items"] if isinstance(found, dict) else found
        session.output.records(items, columns.PLUGIN, key="name")
        return
    session.output.records(_installed(), columns.PLUGIN, key="name")


def _installed() -> list[dict[str, Any]]:
    from dsched.loading import PluginError, load_catalogue

    try:
        catalogue = load_catalogue()
    except PluginError as error:
        raise UsageError(
            "a plugin installed here cannot be used",
            why=clean(str(error)),
            todo="uninstall it, or switch it off with plugins.disabled",
        ) from error
    return [
        {
            "kind": kind.removesuffix("s"),
            "name": name,
            "distribution": one.distribution,
            "version": one.version,
        }
        for kind in ("executors", "balancers", "stores", "observers", "services")
        for name, one in getattr(catalogue, kind).items()
    ]


@plugin.command()
@output_options
@click.argument("project", required=False, metavar="[FOLDER|NAME]")
@click.option("--no-tests", is_flag=True, help="Do not run the project's tests.")
def check(project: str | None, no_tests: bool, output_format: str | None, tz: str | None) -> int:
    """Check the installed plugins, one of them by its name or its distribution's, or the project in
    a folder and its contract suite.

    Imports the plugin's code. Exits with 1 if anything is wrong.
    """
    from dsched_cli.plugin_checks import check_installed, check_project

    with open_session({"output_format": output_format, "tz": tz}) as session:
        if project is None or not Path(project).is_dir():
            findings = list(check_installed(project))
        else:
            findings = list(check_project(Path(project), run_tests=not no_tests))
        session.output.records([attrs.asdict(one) for one in findings], _CHECKS, key="check")
    wrong = any(one.state == "error" for one in findings)
    return ExitCode.FAILED if wrong else ExitCode.OK


@plugin.command()
@click.argument("kind", type=click.Choice(("executor", "balancer", "observer")))
@click.argument("name")
@click.option("--folder", metavar="DIR", help="Where to.  [default: dsched-KIND-NAME here]")
def new(kind: str, name: str, folder: str | None) -> None:
    """Start a plugin project that passes the contract suite of its kind. Works offline."""
    from dsched_cli.scaffold import make

    target = Path(folder or f"dsched-{kind}-{name}")
    for path in make(kind, name, target):
        write(str(path))
    say(f"next: cd {target}; pip install -e '.[test]'; pytest; dsched plugin check .")
