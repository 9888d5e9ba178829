"""`kgents ui`: a dashboard in the terminal."""

import asyncio
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from kgents_cli.commands.mcp import token_of
from kgents_cli.connection import connected, require_state
from kgents_cli.options import NATS_URL, Target, target_options
from kgents_cli.output import note
from kgents_cli.ui.kept import load, path, save
from kgents_cli.ui.palette import PALETTES
from kgents_cli.ui.terminal import shows_only_ascii, unsuitable, wants_no_colour
from kgents_shared.contract.errors import KgentsError
from kgents_shared.runtime.config import process_environ
from kgents_shared.runtime.garbage import free_cycles
from kgents_shared.view.selection import select

if TYPE_CHECKING:
    from kgents_cli.ui.source.source import Source

EXIT_USAGE = 2
TOKEN = "KGENTS_TOKEN"  # noqa: S105 - the name of a variable


@click.command("ui")
@click.option("--url", metavar="URL", help="Read a gateway, such as http://127.0.0.1:7780, instead of NATS.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"Holds a token, if the gateway asks for one.  [env: {TOKEN} for the token itself]",
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Play a recording of `kgents record`, without NATS.",
)
@click.option("--speed", type=click.FloatRange(0.1, 1000.0), default=1.0, metavar="N", help="So many times as fast.")
@click.option("--theme", type=click.Choice(sorted(PALETTES)), help="Its colours; T changes them.")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal, as to select text.")
@click.option("--ascii", "is_ascii", is_flag=True, help="Draw with ASCII alone.")
@target_options
def command(
    url: str | None,
    token_file: Path | None,
    replay: Path | None,
    speed: float,
    theme: str | None,
    no_mouse: bool,
    is_ascii: bool,
    target: Target,
) -> int:
    """Show a dashboard in the terminal: what is unwell first, why, and since when.

    Keys are as in k9s: `/` filters, `:pods` shows a kind, `d` describes, `?` lists all of them. NO_COLOR is respected;
    levels differ by shape and word. It needs the extra `ui`: pip install 'kgents-cli[ui]'

    \b
    Examples:
      kgents ui
      kgents ui --nats nats://host:4222 --cluster prod
      kgents ui --theme colour-blind
      kgents ui --url https://kgents.example --token-file ~/.kgents-token
      kgents ui --replay incident.kgrec --speed 10
    """  # noqa: D301
    if why := unsuitable():
        note(f"kgents: {why}; try `kgents watch`, or `kgents get all --level critical,warning`")
        return EXIT_USAGE
    if find_spec("textual") is None:
        raise KgentsError("expected Textual, which `kgents ui` draws with, found none; pip install 'kgents-cli[ui]'")
    if sum((replay is not None, url is not None, NATS_URL in target.overrides)) > 1:
        raise click.UsageError("expected one of --nats, --url and --replay, found more")
    return asyncio.run(
        _run(
            target,
            _Place(url, token_file, replay, speed),
            _Drawing(theme, is_ascii or shows_only_ascii(), not no_mouse),
        )
    )


class _Place(msgspec.Struct, frozen=True):
    """What it reads, if not NATS."""

    url: str | None
    token_file: Path | None
    replay: Path | None
    speed: float


class _Drawing(msgspec.Struct, frozen=True):
    """How it is drawn."""

    theme: str | None
    is_ascii: bool
    has_mouse: bool


async def _run(target: Target, place: _Place, drawing: _Drawing) -> int:
    selection = select(cluster=target.cluster)
    # Imported where they are used: services, and a client of NATS.
    if place.url is not None:
        from kgents_cli.stdio import Gateway  # noqa: PLC0415 - it checks an address
        from kgents_cli.ui.source.gateway import GatewaySource  # noqa: PLC0415

        token = token_of(place.token_file) if place.token_file is not None else process_environ().get(TOKEN, "")
        try:
            address = Gateway(place.url, token).url
        except ValueError as error:
            raise click.UsageError(f"--url: {error}") from None
        return await _show(GatewaySource(address, token, selection), drawing)
    if place.replay is not None:
        from kgents_cli.ui.source.recording import RecordingSource  # noqa: PLC0415

        return await _show(RecordingSource(place.replay, selection, speed=place.speed), drawing)
    from kgents_cli.ui.source.live import LiveSource  # noqa: PLC0415

    common = target.load()
    async with connected(common) as bus:
        await require_state(bus)
        return await _show(LiveSource(bus, selection, common.nats.url), drawing)


async def _show(source: "Source", drawing: _Drawing) -> int:
    from kgents_cli.ui.app import Dashboard  # noqa: PLC0415 - Textual
    from kgents_cli.ui.driver import LoopDriver  # noqa: PLC0415
    from kgents_cli.ui.terminal import as_it_is, ended_by_signals  # noqa: PLC0415
    from kgents_cli.ui.themes import palette_of  # noqa: PLC0415

    free_cycles()
    as_it_is()
    logging.disable()  # stderr is the screen; what cannot be read is shown on it
    kept = load(path())
    palette = palette_of(drawing.theme or kept.theme, is_plain=wants_no_colour())
    app = Dashboard(source, palette=palette, is_ascii=drawing.is_ascii, kept=kept)
    app.driver_class = LoopDriver
    with ended_by_signals(lambda code: app.exit(code, return_code=code)):
        await app.run_async(mouse=drawing.has_mouse)
    save(path(), app.kept)
    return app.return_code or 0
