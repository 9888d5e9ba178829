"""`kgents ui`: a dashboard in the terminal."""

import asyncio
import logging
from importlib.util import find_spec

import click

from kgents_cli.connection import connected, require_state
from kgents_cli.options import Target, target_options
from kgents_cli.output import note
from kgents_cli.ui.palette import PALETTES
from kgents_cli.ui.terminal import shows_only_ascii, unsuitable, wants_no_colour
from kgents_shared.contract.errors import KgentsError
from kgents_shared.view.selection import select

EXIT_USAGE = 2


@click.command("ui")
@click.option("--theme", type=click.Choice(sorted(PALETTES)), help="Its colours; T changes them.")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal, as to select text.")
@click.option("--ascii", "is_ascii", is_flag=True, help="Draw with ASCII alone.")
@target_options
def command(theme: str | None, no_mouse: bool, is_ascii: bool, target: Target) -> int:
    """Show a dashboard in the terminal: what is unwell first, why, and since when.

    Keys are as in k9s: `/` filters, `:pods` shows a kind, `d` describes, `?` lists all of them. NO_COLOR is respected;
    levels differ by shape and word. It needs the extra `ui`: pip install 'kgents-cli[ui]'

    \b
    Examples:
      kgents ui
      kgents ui --nats nats://host:4222 --cluster prod
      kgents ui --theme colour-blind
    """  # noqa: D301
    if why := unsuitable():
        note(f"kgents: {why}; try `kgents watch`, or `kgents get all --level critical,warning`")
        return EXIT_USAGE
    if find_spec("textual") is None:
        raise KgentsError("expected Textual, which `kgents ui` draws with, found none; pip install 'kgents-cli[ui]'")
    return asyncio.run(_show(target, theme, is_ascii=is_ascii or shows_only_ascii(), has_mouse=not no_mouse))


async def _show(target: Target, theme: str | None, *, is_ascii: bool, has_mouse: bool) -> int:
    # Imported here: they import Textual.
    from kgents_cli.ui.app import Dashboard  # noqa: PLC0415
    from kgents_cli.ui.source.live import LiveSource  # noqa: PLC0415
    from kgents_cli.ui.terminal import ended_by_signals  # noqa: PLC0415
    from kgents_cli.ui.themes import palette_of  # noqa: PLC0415

    common = target.load()
    async with connected(common) as bus:
        await require_state(bus)
        logging.disable()  # stderr is the screen; what cannot be read is shown on it
        source = LiveSource(bus, select(cluster=target.cluster), common.nats.url)
        app = Dashboard(source, palette=palette_of(theme, is_plain=wants_no_colour()), is_ascii=is_ascii)
        with ended_by_signals(lambda code: app.exit(code, return_code=code)):
            await app.run_async(mouse=has_mouse)
        return app.return_code or 0
