"""`kgents edge rotate` and `kgents edge revoke`: another key for an edge, or none; the old one is refused.

A reload ends the sessions of clients whose key is gone, and leaves those of leaf nodes: these are ended one by one.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from kgents_cli.auditing.setting_up import recorded_at
from kgents_cli.edge import system
from kgents_cli.edge.site import SECRET_MODE, SYSTEM, Site, new_key, write
from kgents_cli.options import Target, target_options
from kgents_cli.output import say
from kgents_shared.contract.errors import KgentsError
from kgents_shared.runtime.config import CommonConfig

BACK_S: Final = 3.0
"""A leaf node tries again every second: one whose key counts is back by then."""
_hub = click.option(
    "--hub", type=click.Path(path_type=Path), required=True, help="The directory of `kgents edge init`."
)


@click.command("rotate")
@click.argument("name")
@_hub
@click.option("--dir", "directory", type=click.Path(path_type=Path), help="Of the edge; else edge-NAME.")
@click.option("--finish", is_flag=True, help="End the old key: the edge has the new one.")
@target_options
def rotate(name: str, hub: Path, directory: Path | None, finish: bool, target: Target) -> None:
    """Give an edge another key, in two steps between which both count.

    The first writes the new key and has the hub take it. Then the edge gets its leaf.conf and is reloaded. The second,
    --finish, ends the old key and every session that uses it, and waits for the edge to be back with the new one.

    \b
    Examples:
      kgents edge rotate paris --hub hub
      kgents edge rotate paris --hub hub --finish
    """  # noqa: D301
    site = _opened(hub, name)
    file = (directory or Path(f"edge-{name}")) / "leaf.conf"
    if finish:
        asyncio.run(_finish(site, name, hub, target))
        say(f"the old key of {name} is refused, and its edge connected with the new one")
    else:
        asyncio.run(_begin(site, name, hub, file, target))
        say(f"{file} has the new key of {name}; both count at the hub")
        say(f"next, at the edge: reload nats-server, then kgents edge rotate {name} --hub {hub} --finish")


async def _finish(site: Site, name: str, hub: Path, target: Target) -> None:
    """Also again, after a failure: then only one key is left."""
    keys = site.state.edges[name]
    before, after = {"keys": keys}, {"keys": keys[-1:]}
    async with recorded_at(hub, target, "edge-rotate", name, before=before, after=after):
        site.state.edges[name] = keys[-1:]
        site.save()
        await _end_sessions(target.load(), hub, name, comes_back=True)


async def _begin(site: Site, name: str, hub: Path, file: Path, target: Target) -> None:
    keys = site.state.edges[name]
    if len(keys) > 1:
        raise KgentsError(f"expected one key of {name}, found two; try: the same with --finish")
    lines = _lines(file)
    seed, public = new_key()
    before, after = {"keys": keys}, {"keys": [*keys, public]}
    async with recorded_at(hub, target, "edge-rotate", name, before=before, after=after):
        await _take(site, name, hub, [*keys, public], target)
        write(file, "".join(f"    nkey: {seed}\n" if _is_key(line) else line for line in lines), SECRET_MODE)


async def _take(site: Site, name: str, hub: Path, keys: list[str], target: Target) -> None:
    """Have the hub take these keys of an edge, or leave it as it was."""
    before = site.state.edges[name]
    site.state.edges[name] = keys
    site.save()
    try:
        await _reload(target.load(), hub)
    except KgentsError:
        site.state.edges[name] = before
        site.save()
        raise


@click.command("revoke")
@click.argument("name")
@_hub
@target_options
def revoke(name: str, hub: Path, target: Target) -> None:
    """Refuse an edge: its keys no longer count, and its sessions end.

    What the hub has of it stays, stale, until `kgents provision` takes its copies away and its entities are removed.

    \b
    Examples:
      kgents edge revoke paris --hub hub
    """  # noqa: D301
    site = _opened(hub, name)
    asyncio.run(_revoke(site, name, hub, target))
    say(f"{name} is refused, and no session of it is left")
    say(f"next, at the hub: kgents provision --config {hub}/kgents.yaml")


async def _revoke(site: Site, name: str, hub: Path, target: Target) -> None:
    common = target.load()
    async with recorded_at(hub, target, "edge-revoke", name, before={"keys": site.state.edges[name]}):
        site.state.edges[name] = []
        site.save()
        await _end_sessions(common, hub, name, comes_back=False)
        del site.state.edges[name]  # only now, so that the command can be repeated after a failure
        site.save()
        site.name_edges()


def _opened(hub: Path, name: str) -> Site:
    site = Site.open(hub)
    if name not in site.state.edges:
        known = ", ".join(sorted(site.state.edges)) or "no edge"
        raise KgentsError(f"expected one of {known}, found {name}; try: `kgents edge new {name} --hub {hub} …`")
    return site


def _lines(file: Path) -> Sequence[str]:
    try:
        lines = file.read_text("utf-8").splitlines(keepends=True)
    except OSError as error:
        raise KgentsError(f"expected to read {file}, found: {error.strerror}; try: --dir, the edge's own") from error
    if sum(map(_is_key, lines)) != 1:
        raise KgentsError(f"expected one key in {file}, found another content; try: `kgents edge revoke`, then `new`")
    return lines


def _is_key(line: str) -> bool:
    return line.strip().startswith("nkey:")


async def _reload(common: CommonConfig, hub: Path) -> None:
    async with system.as_system(common, hub / "keys" / f"{SYSTEM}.nk") as session:
        await system.reload(session)


async def _end_sessions(common: CommonConfig, hub: Path, name: str, *, comes_back: bool) -> None:
    """End every leaf's session: which key one uses is not shown, and those whose key counts come back at once.

    Raises:
        KgentsError: the edge is connected when it must not be, or is not when it must.
    """
    async with system.as_system(common, hub / "keys" / f"{SYSTEM}.nk") as session:
        await system.reload(session)
        before = await system.leaves(session)
        for leaf in before:
            await system.end(session, leaf)
        await asyncio.sleep(BACK_S)
        after = await system.leaves(session)
    is_back = any(leaf.name == f"edge-{name}" for leaf in after)
    if is_back and not comes_back:
        raise KgentsError(
            f"expected edge-{name} to be refused, found it connected: another login lets it in, or a server of the hub "
            f"has not got {hub}/accounts.conf; try: copy it to all of them, then the same command"
        )
    if comes_back and not is_back:
        raise KgentsError(
            f"expected edge-{name} to come back with its new key, found it away; the old key no longer counts; "
            "try: reload its nats-server with the new leaf.conf, and see its log"
        )
