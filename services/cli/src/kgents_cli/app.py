"""argv → the command's module → exit code. Only the command that runs is imported, so `--help` is instant."""

import os
import sys
from importlib import import_module
from typing import Final

import click
from click.shell_completion import CompletionItem

from kgents_cli.suggestion import did_you_mean
from kgents_shared.contract.errors import ConfigError, KgentsError, NotFoundError, RecordingError
from kgents_shared.runtime.garbage import calm_collector

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_CONFIG: Final = 78  # EX_CONFIG of sysexits.h
EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count

FAILED: Final = {"drift": 2}
"""Commands whose exit code 1 is an answer → their code when there is none."""

GROUPS: Final = {
    "See what there is": {
        "get": "List entities with their status and health.",
        "describe": "Show everything known about one entity.",
        "topology": "Show entities and their connections as a tree.",
        "health": "Show unhealthy entities and why.",
        "top": "Show CPU, memory, network and other figures.",
        "cost": "Show what pods and disks cost by a price list.",
        "alerts": "List alerts; silence, acknowledge and route them.",
        "incidents": "List incidents: alerts with a common cause.",
        "ui": "Show a dashboard in this terminal.",
    },
    "See what happened": {
        "watch": "Print messages as they are published.",
        "tap": "Show the messages of any NATS subject, without payloads.",
        "events": "List events, newest last.",
        "history": "Show how one entity changed.",
        "availability": "Show how available entities were, by objectives too.",
        "diff": "Compare the topology at two times.",
        "drift": "Compare manifests with what runs.",
        "review": "Show what most probably led to an incident.",
        "record": "Record what collectors publish into a file.",
        "replay": "Replay a recording into a NATS, or judge it without one.",
        "archive": "See the archive, and bring its tables up to date.",
        "audit": "See who wrote what.",
    },
    "See what depends on what": {
        "path": "Show how two entities are connected.",
        "impact": "Show what depends on an entity.",
    },
    "Run it": {
        "up": "Start everything on this machine and show it live.",
        "run": "Run one service in the foreground, as containers do.",
        "doctor": "Check NATS, streams and services, and suggest the next step.",
        "provision": "Create or update the streams on the server.",
        "backup": "Copy the streams into a directory.",
        "restore": "Restore the streams from a backup.",
        "permissions": "Print the least NATS permissions of a login.",
        "edge": "Set up a hub and its edges, and see how far they are.",
        "token": "Make a token for the gateway.",
        "config": "Check the configuration, or import one.",
        "services": "List the services installed here.",
        "mcp": "Answer a language model's client over stdin and stdout.",
        "completion": "Print the completion script for your shell.",
    },
}
"""Group → command, also the name of its module → its line in `kgents --help`."""
COMMANDS: Final = {name: line for commands in GROUPS.values() for name, line in commands.items()}

SERVING: Final = frozenset({"up", "run", "config", "permissions", "edge"})
"""Commands that import services; all others only read, and start without what only services need."""


class _Commands(click.Group):
    """Commands that are imported when they are run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        if cmd_name not in COMMANDS:
            ctx.fail(f"no command {cmd_name!r}; {did_you_mean(cmd_name, COMMANDS)}")
        if cmd_name not in SERVING:
            calm_collector()
        command: click.Command = import_module(f"kgents_cli.commands.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> int:
        """Run the command; returns the exit code, also of what it raises (click would end a closed pipe with 1)."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()  # here, where a closed pipe can still be handled
        except (KgentsError, BrokenPipeError, BaseExceptionGroup) as error:
            failed = _report(_leaf(error))
            return FAILED.get(ctx.invoked_subcommand or "", failed) if failed == EXIT_FAILED else failed
        return code if isinstance(code, int) else EXIT_OK

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for group, commands in GROUPS.items():
            with formatter.section(group):
                formatter.write_dl([(name.ljust(width), line) for name, line in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands without importing any of them."""
        found = [CompletionItem(name, help=line) for name, line in COMMANDS.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kgents-cli", prog_name="kgents")
def kgents() -> None:
    """A running system as a stream: its entities, their connections, their health.

    \b
    Start with:
      kgents up                                start everything on this machine
      kgents get all                           what there is, and how healthy it is
      kgents get all --level critical,warning  what is not healthy, and why
      kgents COMMAND --help                    each command has examples
    """  # noqa: D301 - \b is click's mark for lines to leave as they are


def main() -> None:
    """Run the command line of this process and end it."""
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        code: int = kgents.main(prog_name="kgents", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return EXIT_INTERRUPTED
    return code


def _leaf(error: BaseException) -> BaseException:
    """The first error of a group: what really happened in one of its tasks."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _report(error: BaseException) -> int:
    """One error in words, and its exit code."""
    match error:
        case BrokenPipeError():
            # The reader of our output has enough (`| head`). Python would try to flush once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_OK
        case ConfigError():
            click.echo(f"{error}\nfix the above, then run `kgents config check`", err=True)
            return EXIT_CONFIG
        case NotFoundError():
            click.echo(f"kgents: {_with_next_step(str(error), 'see all with `kgents get all`')}", err=True)
            return EXIT_FAILED
        case RecordingError():
            click.echo(f"kgents: {error}", err=True)
            return EXIT_FAILED
        case KgentsError():
            click.echo(f"kgents: {_with_next_step(str(error))}", err=True)
            return EXIT_FAILED
        case _:
            raise error


def _with_next_step(text: str, step: str = "try `kgents doctor`") -> str:
    """An error that names no command itself leads to the one that finds out more."""
    if "`" in text or "; try: " in text:
        return text
    return f"{text} {step.capitalize()}" if text.endswith(("?", ".")) else f"{text}; {step}"
