"""`kgents token`: a name and what it may read → a new token, shown once, and its digest in the gateway's file."""

import asyncio
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from kgents_cli.auditing.recording import recorded, written
from kgents_cli.options import Target, nats_options
from kgents_cli.output import note, say
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.tokens import BEGIN, READ, RIGHTS, MalformedTokensError, Token, digest_of, tokens_of
from kgents_shared.runtime.config import CommonConfig

RANDOM_BYTES: Final = 32
MODE: Final = 0o640
"""Of a file that is new: the gateway may run as another user of the same group."""


@click.command("token")
@click.argument("name")
@click.option("--file", type=click.Path(path_type=Path), required=True, help="The gateway's auth.tokens_file.")
@click.option("--cluster", "clusters", multiple=True, metavar="NAME", help="Only this cluster; may be repeated.")
@click.option("--namespace", "namespaces", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option("--may", multiple=True, type=click.Choice(RIGHTS), default=(READ,), show_default=True)
@nats_options
def command(
    name: str, file: Path, clusters: tuple[str, ...], namespaces: tuple[str, ...], may: tuple[str, ...], target: Target
) -> None:
    """Make a token that the gateway accepts, and print it.

    The file gets its digest only, so the token cannot be shown again. The gateway reads the file when it changes. To
    replace a token make another one, and then delete the line of the old one. Without --cluster and --namespace it
    may read everything; in both `*` stands for any text. `--namespace ""`: entities without one, such as nodes.
    That it was made is recorded in the audit trail, if a NATS server is there.

    \b
    Examples:
      kgents token grafana --file /etc/kgents/tokens
      kgents token team-shop --file /etc/kgents/tokens --cluster prod --namespace shop
    """  # noqa: D301
    token = BEGIN + secrets.token_urlsafe(RANDOM_BYTES)
    text = _read(file)
    line = str(Token(name, digest_of(token), clusters, namespaces, may))
    changed = f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{line}\n"
    try:
        tokens_of(changed)
    except MalformedTokensError as error:
        raise KgentsError(f"{file} with a token {name}: {error}; see `kgents token --help`") from None
    after = {"name": name, "clusters": list(clusters), "namespaces": list(namespaces), "may": list(may)}
    asyncio.run(_recorded(target.load(), file, changed, after))
    note(f"{file} has its digest; this is the token, which cannot be shown again:")
    say(token)


async def _recorded(common: CommonConfig, file: Path, changed: str, after: Mapping[str, object]) -> None:
    record = written(common.cluster, "token", f"token {after['name']}", after={**after, "file": str(file)})
    async with recorded(common, record):
        _write(file, changed)


def _read(file: Path) -> str:
    """What is in it; empty if it is not there."""
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        found = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
        raise KgentsError(f"expected to read {file}, found: {found}; try another --file") from None


def _write(file: Path, text: str) -> None:
    """Replace a file as a whole, so that the gateway never reads a part of it."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        new.write_text(text, "utf-8")
        new.chmod(file.stat().st_mode & 0o777 if file.exists() else MODE)
        new.replace(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise KgentsError(f"expected to write {file}, found: {error.strerror}; try another --file") from error
