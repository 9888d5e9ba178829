"""argv → the command's module → exit code. Only the command that runs is imported, so `--help` is instant."""

import os
import sys
from importlib import import_module
from typing import Final

import click

from kgents_cli.lazy import put_off
from kgents_cli.suggestion import did_you_mean
from kgents_shared.contract.errors import ConfigError, KgentsError

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_CONFIG: Final = 78  # EX_CONFIG of sysexits.h
EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count

COMMANDS: Final = {
    "up": "Start everything on this machine and show it live.",
    "topology": "The things that are there and how they hang together, now or then.",
    "health": "What is not well and why.",
    "watch": "Messages as they come.",
    "doctor": "Find out what is wrong, and what to do about it.",
    "services": "The services installed here.",
    "run": "Run one service in the foreground, as containers do.",
    "provision": "Make the server's streams match this version.",
    "config": "Check the configuration, or import one.",
}
"""Command, also the name of its module → its line in `kgents --help`."""

SERVING: Final = frozenset({"up", "run", "config", "doctor"})
"""Commands that import services; all others only read, and start without what only services need."""


class _Commands(click.Group):
    """Commands that are imported when they are run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        if cmd_name not in COMMANDS:
            ctx.fail(f"no command {cmd_name!r}; {did_you_mean(cmd_name, COMMANDS)}")
        if cmd_name not in SERVING:
            put_off()
        command: click.Command = import_module(f"kgents_cli.commands.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> int:
        """Run the command; returns the exit code, also of what it raises (click would end a closed pipe with 1)."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()  # here, where a reader that went away can still be dealt with
        except (KgentsError, BrokenPipeError, BaseExceptionGroup) as error:
            return _report(_leaf(error))
        return code if isinstance(code, int) else EXIT_OK

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kgents-cli", prog_name="kgents")
def kgents() -> None:
    """A running system as a stream: what is there, how it hangs together, how well it is.

    \b
    Begin with:
      kgents up                  everything on this machine, live
      kgents doctor              what is missing, and the next step
      kgents COMMAND --help      each has an example
    """  # noqa: D301 - \b is click's mark for lines to leave as they are


def main() -> None:
    """Run the command line of this process and end it."""
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        code: int = kgents.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return EXIT_INTERRUPTED
    return code


def _leaf(error: BaseException) -> BaseException:
    """What really happened, when it happened in a task of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _report(error: BaseException) -> int:
    """One error in words, and its exit code."""
    match error:
        case BrokenPipeError():
            # Whoever read our output has enough (`| head`). Python would try to flush once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_OK
        case ConfigError():
            click.echo(f"{error}\nfix the above, then run `kgents config check`", err=True)
            return EXIT_CONFIG
        case KgentsError():
            click.echo(f"kgents: {_with_next_step(str(error))}", err=True)
            return EXIT_FAILED
        case _:
            raise error


def _with_next_step(text: str) -> str:
    """An error that names no command itself leads to the one that finds out more."""
    return text if "`" in text else f"{text}; try `kgents doctor`"
