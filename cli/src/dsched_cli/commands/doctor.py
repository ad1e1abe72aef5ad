"""`dsched doctor`: is this installation, its store and its cluster in order."""

import attrs
import click

from dsched_cli.errors import ExitCode
from dsched_cli.output import Column
from dsched_cli.session import Session, asks_api

_COLUMNS = (
    Column("CHECK", "check"),
    Column("STATE", "state", kind="state"),
    Column("DETAIL", "detail"),
    Column("TRY", "todo"),
)


@click.command()
@asks_api
def doctor(session: Session) -> int:
    """Check installation, plugins, versions, store settings, clocks, leader and workers.

    With --local the store of a configuration is looked at as a start would; else the server. Exits
    with 1 if anything is wrong; warnings do not count.
    """
    from dsched_cli import diagnosis

    findings = list(diagnosis.installation())
    if session.options.get("local"):
        findings += diagnosis.store_of(session.options.get("config_file"))
    else:
        findings += diagnosis.server(session.api)
    session.output.records([attrs.asdict(one) for one in findings], _COLUMNS, key="check")
    wrong = any(one.state == "error" for one in findings)
    return ExitCode.FAILED if wrong else ExitCode.OK
