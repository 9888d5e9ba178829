"""Databases that other collectors publish with a mark: entity of source k8s or docker → address to poll. Pure."""

import re
from typing import Final

from msgspec import Struct

from kgents_shared.contract.address import split
from kgents_shared.contract.entity import Entity

MARK: Final = "kgents.io/database"
"""The label or annotation that requests polling; its value is the backend."""
PORT_MARK: Final = "kgents.io/database-port"
"""The label or annotation for a port that is not the default one."""
_HOST: Final = re.compile(r"[A-Za-z0-9._:%-]+")
"""A name or an address without characters that have a meaning in a URL."""
PORTS: Final = {"postgres": 5432, "pgbouncer": 6432, "redis": 6379, "qdrant": 6333}


class Found(Struct, frozen=True):
    """A database to poll."""

    backend: str
    name: str
    namespace: str
    host: str
    port: int


def found(entity: Entity) -> Found | str | None:
    """Where a marked entity can be reached.

    Returns:
        None without the mark, or while the entity has no address yet; a text if the mark is unusable, for the user who
        set it.
    """
    marks = {**entity.labels, **entity.annotations}
    backend = marks.get(MARK)
    if backend is None or entity.status in ("terminating", "succeeded"):
        return None
    if backend not in PORTS:
        return f"{entity.ref}: expected {MARK} to be one of {', '.join(PORTS)}, found another value; correct it"
    port = marks.get(PORT_MARK, str(PORTS[backend]))
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        return f"{entity.ref}: expected {PORT_MARK} to be a port, found another value; correct it"
    host = _host(entity, int(port))
    if host is None and entity.status == "pending":  # a pod has no address before it is placed
        return None
    if host is None:
        return f"{entity.ref}: expected an address beside {MARK}, found none; it may have no network of its own"
    return Found(backend, entity.ref.name.replace("/", "-"), entity.ref.namespace, host, int(port))


def _host(entity: Entity, port: int) -> str | None:
    """Its address with this port, else its address without a port, else one of its names."""
    addresses = [split(address) for address in entity.addresses]
    names = [alias for alias in entity.aliases if ":" not in alias and "/" not in alias]
    exact = [host for host, its_port in addresses if its_port == port]
    loose = [host for host, its_port in addresses if its_port is None]
    return next((host for host in [*exact, *loose, *names] if _HOST.fullmatch(host)), None)
