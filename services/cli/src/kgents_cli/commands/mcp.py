"""`kgents mcp`: a client of the Model Context Protocol that starts its servers ↔ a gateway that runs already."""

import sys
from pathlib import Path
from typing import Final

import click

from kgents_cli.stdio import Gateway, relay
from kgents_shared.contract.errors import KgentsError

USUAL: Final = "http://127.0.0.1:7780"


@click.command("mcp")
@click.option(
    "--gateway", "url", default="http://127.0.0.1:7780", show_default=True, metavar="URL", help="Its address."
)
@click.option(
    "--token-file", type=click.Path(path_type=Path), metavar="FILE", help="Holds a token, if the gateway asks for one."
)
def command(url: str, token_file: Path | None) -> None:
    """Answer a language model's client over stdin and stdout (MCP).

    The tools are those of the gateway at `/mcp`, and read-only. This command only passes messages on: nothing is read
    from NATS and nothing kept, so it starts at once. A client that can connect over HTTP needs it not.

    \b
    Examples:
      kgents mcp
      kgents mcp --gateway https://kgents.example --token-file ~/.kgents-token

    \b
    In the configuration of a client:
      {"mcpServers": {"kgents": {"command": "kgents", "args": ["mcp"]}}}
    """  # noqa: D301
    try:
        gateway = Gateway(url, token_of(token_file) if token_file is not None else "")
    except ValueError as error:
        raise click.UsageError(f"--gateway: {error}") from None
    relay(gateway, sys.stdin.buffer, sys.stdout.buffer)


def token_of(file: Path) -> str:
    """The token that a file holds.

    Raises:
        KgentsError: it holds none.
    """
    try:
        token = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no text"
        raise KgentsError(f"expected a token in {file}, found: {why}; try: `kgents token --help`") from None
    if not token.isascii() or not token.isprintable() or not token:
        raise KgentsError(f"expected one token in {file}, found another text; try: `kgents token --help`")
    return token
