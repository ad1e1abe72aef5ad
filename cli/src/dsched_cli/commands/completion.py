"""`dsched completion`: what a shell needs to complete commands, options and ids."""

import click

from dsched_cli.output import write


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    bash: eval "$(dsched completion bash)" in ~/.bashrc; zsh likewise in ~/.zshrc; fish: dsched
    completion fish > ~/.config/fish/completions/dsched.fish
    """
    from click.shell_completion import get_completion_class

    from dsched_cli.main import root

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    write(found(root, {}, "dsched", "_DSCHED_COMPLETE").source())
