"""`kgents completion`: click's completion script for a shell → stdout."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_KGENTS_COMPLETE"
"""The variable by which click knows that a shell asks for completions."""


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the script that completes commands, flags, kinds and names.

    Names come from NATS, if it answers within a second.

    \b
    Examples:
      eval "$(kgents completion bash)"                                     in ~/.bashrc
      eval "$(kgents completion zsh)"                                      in ~/.zshrc
      kgents completion fish > ~/.config/fish/completions/kgents.fish
    """  # noqa: D301
    completion = get_completion_class(shell)
    if completion is None:
        raise click.UsageError(f"expected one of {', '.join(SHELLS)}, found {shell!r}")
    root = click.get_current_context().find_root()
    click.echo(completion(root.command, {}, "kgents", VARIABLE).source())
