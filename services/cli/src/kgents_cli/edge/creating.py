"""`kgents edge init` and `kgents edge new`: the directories of a hub and of an edge, with keys and configuration."""

import asyncio
import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from kgents_cli.auditing.late import kept
from kgents_cli.auditing.recording import written
from kgents_cli.auditing.setting_up import recorded_at
from kgents_cli.edge import rendering
from kgents_cli.edge.rendering import Ports, Server
from kgents_cli.edge.site import (
    COLLECTORS,
    CONFIG,
    EDGE_SERVICES,
    HUB_SERVICES,
    SECRET_MODE,
    SYSTEM,
    Site,
    State,
    new_key,
    require_name,
    write,
)
from kgents_cli.options import Target, target_options
from kgents_cli.output import say
from kgents_shared.contract import address
from kgents_shared.contract.audit import EDGE_INIT
from kgents_shared.contract.errors import KgentsError

ANY: Final = "0.0.0.0"  # noqa: S104 - what is to be reached from elsewhere, by TLS and with keys
_port = click.IntRange(1, 65_535)


CONTAINER_AT: Final = "/etc/nats"
CONTAINER_STATE: Final = "/var/lib/nats"
"""Where deploy/nats/kubernetes and deploy/compose mount the configuration and the volume."""


class Place(msgspec.Struct, frozen=True):
    """Where a server listens, and where its files will be."""

    ports: Ports
    at: str | None
    """None: where they are made."""
    state: str | None
    """Where the server writes; None: to the same directory."""
    in_container: bool

    def files(self, directory: Path) -> str:
        """The directory of the configuration, where the server will run."""
        return self.at or (CONTAINER_AT if self.in_container else str(directory.resolve()))

    def authority(self, directory: Path) -> str:
        """The file of the authority for commands and services; those in containers have settings of their own."""
        return f"{directory.resolve() if self.in_container else self.files(directory)}/tls/ca.pem"

    def server(self, name: str, domain: str, directory: Path, listen: str, *, tls: bool) -> Server:
        """A server there. One in a container is asked how it is from others: its network says from which."""
        state = self.state or (CONTAINER_STATE if self.in_container else "")
        monitoring = listen if address.is_loopback(listen) else rendering.LOOPBACK
        if self.in_container:
            listen = monitoring = ANY
        return Server(
            name=name, domain=domain, at=self.files(directory), state=state, listen=listen, monitoring=monitoring,
            ports=self.ports, tls=tls,
        )  # fmt: skip


def _place(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags of where a server listens and its files are; it receives them as `place`."""

    @click.option("--at", type=click.Path(), metavar="DIR", help="Where the files will be, there; else where made.")
    @click.option("--state", type=click.Path(), metavar="DIR", help="Where its streams will be, there; else in --at.")
    @click.option("--container", "in_container", is_flag=True, help="For deploy/nats/kubernetes and deploy/compose.")
    @click.option("--port", type=_port, default=rendering.CLIENTS, show_default=True, help="For clients.")
    @click.option("--leaf-port", type=_port, default=rendering.LEAVES, show_default=True, help="For edges.")
    @click.option(
        "--route-port", type=_port, default=rendering.ROUTES, show_default=True, help="For the other servers."
    )
    @click.option("--monitoring-port", type=_port, default=rendering.MONITORING, show_default=True, help="On loopback.")
    @functools.wraps(command)
    def with_place(
        *args: Any, at: str | None, state: str | None, in_container: bool, port: int, leaf_port: int, route_port: int,
        monitoring_port: int,
        **others: Any,
    ) -> None:  # fmt: skip
        ports = Ports(port, leaf_port, route_port, monitoring_port)
        command(*args, place=Place(ports, at, state, in_container), **others)

    return with_place


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--cluster", default="hub", show_default=True, help="The hub's own cluster and JetStream domain.")
@click.option("--host", "hosts", multiple=True, required=True, metavar="NAME", help="Of each server; one or three.")
@click.option("--tls/--no-tls", default=True, show_default=True, help="--no-tls: only where the network is trusted.")
@_place
def init(directory: Path, cluster: str, hosts: tuple[str, ...], tls: bool, place: Place) -> None:
    """Make the directory of a hub: a key for each login, and the configuration of its NATS servers.

    TLS needs tls/server.pem, tls/server-key.pem and tls/ca.pem in it, which an authority of yours signs.

    \b
    Examples:
      kgents edge init hub --host nats.example.org
      kgents edge init hub --host n1.example.org --host n2.example.org --host n3.example.org
      kgents edge init hub --host nats.kgents.svc --container
    """  # noqa: D301
    require_name(cluster)
    if len(hosts) not in (1, 3, 5):
        raise KgentsError(f"expected one, three or five --host, found {len(hosts)}; see `kgents edge init --help`")
    names = [f"{cluster}-{number + 1}" for number in range(len(hosts))]
    site = Site.create(directory, State(cluster, servers=names))
    after = {"directory": str(directory), "servers": dict(zip(names, hosts, strict=True)), "tls": tls}
    with kept(directory, written(cluster, EDGE_INIT, f"hub {cluster}", after=after), "its NATS does not run yet"):
        _make_hub(site, hosts, place, tls=tls)
    say(f"{directory} has the keys of {len(site.state.logins)} logins and the configuration of {len(hosts)} server(s)")
    if tls:
        say(f"next: put server.pem, server-key.pem and ca.pem into {directory}/tls, then nats-server -c …/nats.conf")


def _make_hub(site: Site, hosts: Sequence[str], place: Place, *, tls: bool) -> None:
    directory, cluster, names = site.directory, site.state.cluster, site.state.servers
    for login in (*HUB_SERVICES, SYSTEM):
        site.add_login(login)
    for name, host in zip(names, hosts, strict=True):
        listen = host if address.is_loopback(host) and address.is_ip(host) else ANY
        server = place.server(name, cluster, directory, listen, tls=tls)
        file = "nats.conf" if len(hosts) == 1 else f"nats-{name}.conf"
        write(directory / file, rendering.of_hub(server, hosts), 0o644)
    scheme = "tls" if tls else "nats"
    values = {"cluster": cluster, "url": ",".join(f"{scheme}://{host}:{place.ports.clients}" for host in hosts)}
    if tls:
        values["ca_file"] = place.authority(directory)
    write(directory / CONFIG, rendering.of_kgents(values, []), 0o644)
    site.save()


@click.command("new")
@click.argument("name")
@click.option("--hub", type=click.Path(path_type=Path), required=True, help="The directory of `kgents edge init`.")
@click.option("--url", "urls", multiple=True, required=True, metavar="URL", help="The hub's leaf port, from there.")
@click.option("--dir", "directory", type=click.Path(path_type=Path), help="Where to make it; else edge-NAME.")
@click.option("--collector", "collectors", multiple=True, metavar="SERVICE", help="Only these; a host: …-host@MACHINE.")
@click.option("--host", metavar="NAME", help="How collectors elsewhere reach it, by TLS; else only from there.")
@target_options
@_place
def new(
    name: str, hub: Path, urls: tuple[str, ...], directory: Path | None, collectors: tuple[str, ...], host: str | None,
    place: Place,
    target: Target,
) -> None:  # fmt: skip
    """Make an edge: its keys, the configuration of its NATS server, and its login at the hub.

    No secret is printed: seeds are in files that only their owner can read.

    \b
    Examples:
      kgents edge new paris --hub hub --url tls://nats.example.org:7422
      kgents edge new lab --hub hub --url tls://nats.example.org:7422 --collector collector-host@lab1
    """  # noqa: D301
    at_hub = Site.open(hub)
    require_name(name, [at_hub.state.cluster, *at_hub.state.edges])
    tls = _needs_tls(urls)
    if place.in_container and not host:
        raise KgentsError("expected --host beside --container: collectors are in others; try: --host nats.kgents.svc")
    directory = directory or Path(f"edge-{name}")
    for collector in collectors:
        Site(directory, State(name)).permissions_of(collector)  # before anything is made
    made = functools.partial(_make, name, at_hub, urls, directory, collectors, host, place, tls=tls)
    after = {"directory": str(directory), "urls": list(urls), "collectors": list(collectors)}
    asyncio.run(_recorded(recorded_at(hub, target, "edge-new", name, after=after), made))
    say(f"{directory} is the edge {name}; {hub}/accounts.conf has its login")
    if tls:
        say(f"next, at the edge: put the hub's ca.pem into {directory}/tls, then nats-server -c {directory}/nats.conf")
    named = at_hub.name_edges()
    config = f"{hub}/{CONFIG}" if named else f"your configuration, with {name} in streams.edges"
    say(f"next, at the hub: kill -HUP $(cat {hub}/*.pid), then kgents provision --config {config}")


async def _recorded(recording: AbstractAsyncContextManager[None], make: Callable[[], None]) -> None:
    async with recording:
        make()


def _make(
    name: str, at_hub: Site, urls: Sequence[str], directory: Path, collectors: Sequence[str], host: str | None,
    place: Place,
    *, tls: bool,
) -> None:  # fmt: skip
    site = Site.create(directory, State(name))
    for login in (*EDGE_SERVICES, *(collectors or COLLECTORS), SYSTEM):
        site.add_login(login)
    where = place.files(directory)
    listen = ANY if host else rendering.LOOPBACK
    server = place.server(f"edge-{name}", name, directory, listen, tls=bool(host))
    write(directory / "nats.conf", rendering.of_edge(server), 0o644)
    seed, public = new_key()
    remote = rendering.of_remote(urls, seed, f"{where}/tls/ca.pem" if tls else None)
    write(directory / "leaf.conf", remote, SECRET_MODE)
    values = {
        "cluster": name,
        "url": f"tls://{host}:{place.ports.clients}" if host else f"nats://{rendering.LOOPBACK}:{place.ports.clients}",
    }
    if host:
        values["ca_file"] = place.authority(directory)
    write(directory / CONFIG, rendering.of_kgents(values, None), 0o644)
    site.save()
    at_hub.state.edges[name] = [public]
    at_hub.save()


def _needs_tls(urls: tuple[str, ...]) -> bool:
    schemes = {url.partition("://")[0] for url in urls}
    if not schemes <= {"tls", "nats"} or len(schemes) > 1:
        raise KgentsError(
            "expected --url tls://HOST:7422 (nats:// without TLS), found another; try: `--url tls://HOST:7422`"
        )
    return schemes == {"tls"}
