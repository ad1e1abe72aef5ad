"""The tree of commands, loaded as they are needed: `dsched --help` imports only click."""

import difflib
from importlib import import_module

import click

from dsched_cli.errors import UsageError

# Name -> module of `dsched_cli.commands` and the command in it; the help lists them in this order.
SHORT_CUTS = {
    "status": "status:status",
    "top": "top:top",
    "next": "upcoming:upcoming",
    "why": "why:why",
    "trigger": "trigger:trigger",
    "logs": "logs:logs",
    "stats": "stats:stats",
    "apply": "apply:apply",
    "diff": "apply:diff",
    "export": "export:export",
    "import": "importing:import_",
    "simulate": "simulate:simulate",
    "doctor": "doctor:doctor",
    "completion": "completion:completion",
}
NOUNS = {
    "config": "config:config",
    "task": "task:task",
    "bulk": "bulk:bulk",
    "worker": "worker:worker",
    "limit": "limit:limit",
    "cluster": "cluster:cluster",
    "store": "store:store",
    "plugin": "plugin:plugin",
    "token": "token:token",
    "audit": "audit:audit",
}


class Tree(click.Group):
    """The root: commands live in modules of their own and are imported when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Every command's name."""
        return [*NOUNS, *SHORT_CUTS]

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's
        cmd_name: str,
    ) -> click.Command | None:
        """Import one."""
        place = NOUNS.get(cmd_name) or SHORT_CUTS.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        found = getattr(import_module(f"dsched_cli.commands.{module}"), attribute)
        if not isinstance(found, click.Command):
            raise TypeError(f"{place} is no command")
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or say which one was meant."""
        if args and args[0] not in {*NOUNS, *SHORT_CUTS} and not args[0].startswith("-"):
            raise UsageError(
                f"there is no command {args[0][:40]!r}",
                why="it is neither a noun nor a short cut",
                todo=meant(args[0], self.list_commands(ctx)) + "`dsched --help` lists them",
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the nouns with their verbs, and the short cuts separately."""
        for title, names in (("Nouns", NOUNS), ("Short cuts", SHORT_CUTS)):
            rows = []
            for name in names:
                command = self.get_command(ctx, name)
                rows.append((name, "" if command is None else command.get_short_help_str(80)))
            with formatter.section(title):
                formatter.write_dl(rows)


def meant(name: str, known: list[str]) -> str:
    """``did you mean 'x'? `` or nothing."""
    close = difflib.get_close_matches(name[:60], known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}? " if close else ""
