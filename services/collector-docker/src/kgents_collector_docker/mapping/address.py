"""A container's addresses and aliases, from its networks and published ports."""

from collections.abc import Iterator, Mapping
from typing import Final

from kgents_collector_docker.answers import Container, Endpoint
from kgents_collector_docker.mapping.network import ACROSS_HOSTS
from kgents_collector_docker.mapping.scope import Scope
from kgents_collector_docker.mapping.status import is_looping
from kgents_shared.contract.address import is_loopback, is_unspecified, join

_LOOPBACK: Final = ("127.0.0.1", "localhost")
_NAMELESS: Final = ("bridge", "host", "none", "podman")
"""Networks in which an engine resolves no names."""
ANYWHERE: Final = "0.0.0.0"  # noqa: S104 - as an engine writes it
PORTS_MAX: Final = 256
"""More ports are a range, as of a TURN or FTP server. An address for each would make the entity too large to publish:
beyond this its own addresses have no ports, and only the first published ports are shown."""

Names = frozenset[str]


def endpoints(container: Container) -> list[tuple[str, Endpoint]]:
    """The networks that it is in, by name."""
    found = container.network_settings.networks or {}
    return [(name, found[name] or Endpoint()) for name in sorted(found)]


def aliases(container: Container) -> list[str]:
    """The names that other containers of its networks may use for it: `db`, `db.shop_default`.

    A name that two containers claim is left out: it identifies neither.
    """
    found: list[str] = []
    for network, endpoint in endpoints(container):
        if network in _NAMELESS:
            continue
        for name in {container.own_name, *(endpoint.aliases or ())} - {container.id[:12]}:
            found += (name, f"{name}.{network}")
    return found


def ports(container: Container) -> list[str]:
    """Its ports as `docker ps` shows them: `0.0.0.0:8080->80/tcp`, `53/udp` if it is only exposed."""
    given = container.network_settings.ports or {}
    found: list[str] = []
    for port in sorted(given or container.config.exposed_ports or {}, key=_order):
        published = [
            f"{join(each.host_ip or ANYWHERE, _number(each.host_port))}->{port}" for each in given.get(port) or ()
        ]
        found += published or [port]
    return found[:PORTS_MAX]


def addresses(container: Container, drivers: Mapping[str, str], scope: Scope) -> list[str]:
    """Where it is reachable: its own addresses, alone and with each of its ports, and the ports published on the host.

    In the host's network these are the host's addresses with the ports that its image states, since the engine knows no
    others. Empty while it does not run or is in a crash loop.
    """
    if container.state.status not in ("running", "paused") or is_looping(container, scope.at):
        return []
    own, published = _own(container, drivers, scope), _published(container, scope)
    return list(dict.fromkeys([*own, *published, *_of_host(container, scope)]))


def _own(container: Container, drivers: Mapping[str, str], scope: Scope) -> Iterator[str]:
    numbers = sorted({_number(port) for port in container.network_settings.ports or {}})
    if len(numbers) > PORTS_MAX:
        numbers = []
    for _, endpoint in endpoints(container):
        if not scope.is_local and drivers.get(endpoint.network_id, "") not in ACROSS_HOSTS:
            continue
        for ip in (endpoint.ip_address, endpoint.global_ipv6_address):
            if ip:
                yield join(ip)
                yield from (join(ip, number) for number in numbers)


def _published(container: Container, scope: Scope) -> Iterator[str]:
    bindings = container.network_settings.ports or {}
    published = sorted((port for port in bindings if bindings[port]), key=_order)
    for port in published[:PORTS_MAX]:
        for binding in bindings[port] or ():
            number = _number(binding.host_port)
            if not number:
                continue
            for host in _hosts(binding.host_ip, scope):
                yield join(host, number)


def _of_host(container: Container, scope: Scope) -> Iterator[str]:
    exposed = container.config.exposed_ports or {}
    if container.host_config.network_mode == "host" and len(exposed) <= PORTS_MAX:
        for number in sorted({_number(port) for port in exposed}):
            for host in _hosts(ANYWHERE, scope):
                yield join(host, number)


def _hosts(ip: str, scope: Scope) -> Iterator[str]:
    """The hosts under which a port published on this address is reachable."""
    if is_unspecified(ip):
        if scope.reached_at and not is_loopback(scope.reached_at):
            yield scope.reached_at
        if scope.is_local:
            yield from _LOOPBACK
            if scope.host:
                yield scope.host
    elif scope.is_local or not is_loopback(ip):
        yield ip


def _order(port: str) -> tuple[int, str]:
    return _number(port), port


def _number(port: str) -> int:
    digits = port.partition("/")[0]
    return int(digits) if digits.isdigit() else 0
