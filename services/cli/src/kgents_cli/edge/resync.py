"""`kgents edge resync`: compare the entities of both sides → wake the copies → remove what only the hub has."""

import asyncio
from collections.abc import Sequence
from typing import Final

import click

from kgents_cli.auditing.recording import written
from kgents_cli.connection import connected
from kgents_cli.options import Target, target_options
from kgents_cli.output import note, say
from kgents_shared.bus import edges
from kgents_shared.bus.audit import audited
from kgents_shared.bus.edges import Difference
from kgents_shared.contract.audit import RESYNC
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.meta import EDGE_SYNC
from kgents_shared.runtime.config import CommonConfig

LISTED: Final = 100
"""Entities that the record of it names."""


@click.command("resync")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Only print what differs.")
@target_options
def resync(name: str, dry_run: bool, target: Target) -> None:
    """Make the hub's copy of an edge equal to it; edge-sync does the same after each cut.

    It needs the login of edge-sync. An entity is removed only if its collector attests that nothing is missing.

    \b
    Examples:
      kgents edge resync paris --dry-run
    """  # noqa: D301
    asyncio.run(_resync(name, target.load(), dry_run=dry_run))


async def _resync(name: str, common: CommonConfig, *, dry_run: bool) -> None:
    async with connected(common, login=EDGE_SYNC) as bus:
        session = await bus.session()
        if name not in (known := await edges.edges_of(session)):
            raise KgentsError(f"expected one of {', '.join(known) or 'no edges'}, found {name}; see `kgents edge ls`")
        copies = await edges.observe(session, name)
        if dry_run:
            _show_all(await edges.compare(bus, name))
            return
        async with audited(bus, written(name, RESYNC, f"edge {name}")) as result:
            for copy in copies:
                await edges.cycle(session, name, copy.stream)
            found = await edges.compare(bus, name)
            _show_all(found)
            if found.gone and not copies[0].is_settled:
                raise KgentsError(f"the streams of {name} are new or went back: try again in {edges.SETTLED_S:g} s")
            result.after = {"removed": list(found.gone[:LISTED])}
            say(f"removed {await edges.remove(session, found.gone)} entities of {name}")


def _show_all(found: Difference) -> None:
    _show("only at the hub", found.gone)
    _show("only at the hub, and not attested (stays)", found.unattested)
    _show("only at the edge", found.missing)


def _show(what: str, subjects: Sequence[str]) -> None:
    for subject in subjects:
        say(f"{what}: {subject}")
    if not subjects:
        note(f"{what}: none")
