"""`kgents edge update`: the logins of a hub or an edge, each with what this release permits it."""

import asyncio
from pathlib import Path

import click

from kgents_cli.auditing.setting_up import recorded_at
from kgents_cli.edge.site import SYSTEM, Site
from kgents_cli.options import Target, target_options
from kgents_cli.output import say
from kgents_shared.contract.errors import KgentsError


@click.command("update")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--add", "added", multiple=True, metavar="LOGIN", help="Make a key.")
@click.option("--remove", "removed", multiple=True, metavar="LOGIN", help="Its key ends; with --add: for another one.")
@target_options
def update(directory: Path, added: tuple[str, ...], removed: tuple[str, ...], target: Target) -> None:
    """Bring the logins of a hub or an edge up to date: after an upgrade, for another machine, for another key.

    It writes accounts.conf in a directory of `kgents edge init` or `new` again, with what this release permits each
    login. What settings permit beyond that (`collector-nats.subjects`, `streams.archive_copy_max_bytes`) it reads from
    kgents.yaml in that directory: write them there, too, wherever the services read theirs. All other keys stay. A
    server takes it when it is reloaded, which also ends the sessions of keys that ended.

    LOGIN is a service, one at its machine (collector-host@MACHINE), or a person who reads, audits or is on call
    (reader@NAME, auditor@NAME, operator@NAME).

    \b
    Examples:
      kgents edge update hub
      kgents edge update edge-paris --add collector-host@web7
      kgents edge update hub --add operator@alice --add reader@bob
      kgents edge update edge-paris --remove collector-db --add collector-db
    """  # noqa: D301
    site = Site.open(directory)
    _require(site, added, removed)
    asyncio.run(_update(site, added, removed, target))
    say(f"{directory}/accounts.conf has {len(site.state.logins)} logins, with what this release permits them")
    for name in added:
        say(f"{directory}/keys/{name}.nk is the key of {name}, for its machine alone")
    say(f"next: copy accounts.conf to each of its servers, and there: kill -HUP $(cat {directory}/*.pid)")


def _require(site: Site, added: tuple[str, ...], removed: tuple[str, ...]) -> None:
    """See that it can be done, before anything is."""
    there = site.state.logins
    for name in added:
        site.permissions_of(name)
        if name in there and name not in removed:
            raise KgentsError(f"expected a new login, found {name}, which there is; try: --remove {name} --add {name}")
    for name in removed:
        if name not in there or name == SYSTEM:
            known = ", ".join(sorted(there.keys() - {SYSTEM}))
            raise KgentsError(f"expected one of {known}, found {name}; see {site.directory}/logins.json")


async def _update(site: Site, added: tuple[str, ...], removed: tuple[str, ...], target: Target) -> None:
    of, before = f"logins of {site.state.cluster}", {"removed": list(removed)}
    after = {"added": list(added)}
    async with recorded_at(
        site.directory, target, "edge-update", site.state.cluster, about=of, before=before, after=after
    ):
        for name in removed:
            site.remove_login(name)
        for name in added:
            site.add_login(name)
        site.save()
