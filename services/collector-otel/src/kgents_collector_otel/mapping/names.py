"""Attributes of a span → what it says of a call: how, to whom, and whether it failed. Pure.

`WANTED` is the allow list: no other attribute is decoded, so no statement, path, query or header can reach a message.
Of a url only host and port are taken. Both generations of OpenTelemetry's names are read, each span by itself: the two
sides of one call may be of different ones.
"""

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from kgents_collector_otel.mapping.wire import DecodeError, Scalar, attribute, key_of, text_at, value_of
from kgents_shared.contract.address import (
    is_ip,
    is_link_local,
    is_loopback,
    is_public,
    is_unspecified,
    join,
    normalised,
    split,
)
from kgents_shared.contract.entity import LOCAL, PUBLIC
from kgents_shared.contract.vocabulary import edges
from kgents_shared.contract.vocabulary.edges import ConnectionKindName

INTERNAL: Final = 1
SERVER: Final = 2
CLIENT: Final = 3
PRODUCER: Final = 4
CONSUMER: Final = 5

REMEMBERED: Final = 16_384
"""Attributes, and sets of them, that are remembered: of a service there are a few dozen. When they are too many, as
with a url of its own in each span, all are forgotten and learnt again."""
REMEMBERED_BYTES: Final = 512
"""Of what is remembered: a longer attribute is a text that hardly comes twice, such as a statement."""
REMEMBERED_ATTRIBUTES: Final = 128
"""Of a set that is remembered: SDKs send no more of a span."""
NAME_CHARS: Final = 200
"""Of an address or a destination; a longer one is none."""

_WANTED: Final = {
    "http.request.method": "http",
    "http.method": "http",
    "http.response.status_code": "http_status",
    "http.status_code": "http_status",
    "rpc.system.name": "rpc",
    "rpc.system": "rpc",
    "rpc.response.status_code": "rpc_status",
    "rpc.grpc.status_code": "rpc_status",
    "db.system.name": "db",
    "db.system": "db",
    "messaging.system": "messaging",
    "messaging.destination.template": "template",
    "messaging.destination.name": "destination",
    "messaging.destination": "destination",
    "messaging.destination.temporary": "temporary",
    "messaging.destination.anonymous": "temporary",
    "messaging.temp_destination": "temporary",
    "error.type": "error",
    "server.address": "server",
    "server.port": "server_port",
    "net.peer.name": "peer",
    "net.peer.port": "peer_port",
    "url.full": "url",
    "http.url": "url",
    "network.peer.address": "socket",
    "network.peer.port": "socket_port",
    "net.sock.peer.addr": "socket",
    "net.sock.peer.port": "socket_port",
    "net.peer.ip": "socket",
    "peer.service": "service",
}
_WANTED_OF_SERVERS: Final = {
    **{name: slot for name, slot in _WANTED.items() if slot in ("http", "http_status", "rpc", "rpc_status")},
    **{name: slot for name, slot in _WANTED.items() if slot in ("db", "messaging", "error")},
    "network.peer.address": "caller",
    "net.sock.peer.addr": "caller",
    "net.peer.ip": "caller",
    "client.address": "client",
}
OF_CLIENTS: Final[Mapping[bytes, str]] = {name.encode(): slot for name, slot in _WANTED.items()}
OF_SERVERS: Final[Mapping[bytes, str]] = {name.encode(): slot for name, slot in _WANTED_OF_SERVERS.items()}
"""The same names mean others there: the peer of a server is its caller."""
WANTED: Final = OF_CLIENTS.keys() | OF_SERVERS.keys()
"""The attributes of a span that are read."""

_BEGINNING: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#\\]*")
"""Scheme, user and host of a url."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_GRPC_ERRORS: Final = frozenset({"2", "4", "12", "13", "14", "15"})
"""Codes that are a fault of the server: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS."""
_GRPC_NAMES: Final = {
    name: str(code)
    for code, name in enumerate(
        (
            *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
            *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE"),
            *("UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
        )
    )
}


class Call(Struct, frozen=True):
    """What one span says of its call, apart from when it was and who made it."""

    kind: ConnectionKindName
    peer: str = ""
    """Where a client or producer called: `cart:8080`, `10.0.3.7:5432`, a subject of NATS. Of a server: who called it,
    `10.0.3.9`, PUBLIC or LOCAL. Empty: not said."""
    is_error: bool = False
    waits: bool = False
    """Whether the peer may send spans of its own, which say which application it is."""
    is_message: bool = False
    """Whether a message was sent or received."""


class Attributes(dict[bytes, int]):
    """The bytes of an attribute → a number for what it says; 0 for one that is not wanted. Learns what it is asked."""

    def __init__(self, wanted: Mapping[bytes, str]) -> None:
        super().__init__()
        self._wanted = wanted
        self.said: list[tuple[str, Scalar]] = [("", "")]
        self._hosts: dict[bytes, int] = {}  # an attribute with a url, up to its path → a number for its host
        self._path_at = 0  # where that of the last one began: it is asked for in vain for each url
        self._numbers: dict[tuple[str, Scalar], int] = {}

    def __missing__(self, raw: bytes) -> int:
        if (number := self._hosts.get(raw[: self._path_at])) is not None:  # as long as the one before
            return number
        end = raw.find(b"/", raw.find(b"://") + 3) + 1
        if end > 0 and (number := self._hosts.get(raw[:end])) is not None:
            self._path_at = end
            return number
        slot = self._wanted.get(key_of(raw))
        if slot == "url":  # often another one in each span, so only what comes before its path is remembered
            return self._host(raw, end)
        if len(self) >= REMEMBERED:
            self.clear()
        number = self._learn(raw) if slot is not None else 0
        if len(raw) <= REMEMBERED_BYTES:
            self[raw] = number
        return number

    def _host(self, raw: bytes, end: int) -> int:
        host = host_of_url(value_of(raw).decode(errors="replace"))
        number = self._number(("url", host)) if host else 0
        if 0 < raw.find(b"://") < end <= REMEMBERED_BYTES and text_at(raw):
            if len(self._hosts) >= REMEMBERED:
                self._hosts.clear()
            self._hosts[raw[:end]] = number
        return number

    def _learn(self, raw: bytes) -> int:
        try:
            name, value = attribute(raw)
        except DecodeError:  # of one attribute, which is worth no span
            return 0
        slot = self._wanted.get(name.encode())
        if slot in ("caller", "client"):
            value = caller_of(str(value))
        elif isinstance(value, str):
            value = value[: NAME_CHARS + 1]  # so it is still too long for a name
        return self._number((slot, value)) if slot is not None and value is not None else 0

    def _number(self, said: tuple[str, Scalar]) -> int:
        number = self._numbers.get(said)
        if number is None:
            number = self._numbers[said] = len(self.said)
            self.said.append(said)
        return number

    @property
    def is_full(self) -> bool:
        """Whether it is time to begin again: what was said once keeps its number until then."""
        return len(self.said) > REMEMBERED


class Calls(dict[tuple[int, ...], Call]):
    """The numbers of the attributes of a span of one kind → what they say together. Learns what it is asked."""

    def __init__(self, kind: int, attributes: Attributes) -> None:
        super().__init__()
        self._kind = kind
        self._attributes = attributes
        self.number: Final = attributes.__getitem__
        """That of an attribute."""

    def __missing__(self, numbers: tuple[int, ...]) -> Call:
        if len(self) >= REMEMBERED:
            self.clear()
        said = self._attributes.said
        call = call_of(self._kind, dict(said[number] for number in reversed(numbers) if number))
        if len(numbers) <= REMEMBERED_ATTRIBUTES:
            self[numbers] = call
        return call


def call_of(kind: int, said: Mapping[str, Scalar]) -> Call:
    """What a span of a kind says."""
    protocol = _protocol(said)
    is_error = _is_error(kind, said)
    is_message = "messaging" in said
    if protocol == edges.NATS and kind != SERVER:
        return Call(protocol, _destination(said), is_error, is_message=is_message)
    if kind == SERVER:
        return Call(protocol, str(said.get("caller") or said.get("client") or ""), is_error)
    # A topic of another broker is no address: a Service may have its name.
    waits = kind == CLIENT and "db" not in said and not is_message
    return Call(protocol, _peer(said), is_error, waits=waits, is_message=is_message)


def _protocol(said: Mapping[str, Scalar]) -> ConnectionKindName:
    if "db" in said:
        return edges.DEPENDS
    if "messaging" in said:
        return edges.NATS if said["messaging"] == "nats" else edges.NETWORK
    if "rpc" in said:
        return edges.GRPC if said["rpc"] == "grpc" else edges.NETWORK
    return edges.HTTP if "http" in said else edges.NETWORK


def _is_error(kind: int, said: Mapping[str, Scalar]) -> bool:
    if "error" in said:
        return True
    if "rpc_status" in said:
        status = str(said["rpc_status"])
        code = _GRPC_NAMES.get(status, status)
        return code in _GRPC_ERRORS if kind == SERVER else code not in ("0", "")
    status = str(said.get("http_status", ""))
    return len(status) == 3 and status >= "500"


def _destination(said: Mapping[str, Scalar]) -> str:
    if said.get("temporary") in (True, "true"):
        return ""
    name = str(said.get("template") or said.get("destination") or "")
    if name.startswith("_INBOX.") or len(name) > NAME_CHARS or not name.isprintable():
        return ""
    return name


def _peer(said: Mapping[str, Scalar]) -> str:
    """Where a client called, by what it was given, not by what that was resolved to, where it says both."""
    for host, port in (("server", "server_port"), ("peer", "peer_port")):
        if found := _address(said.get(host), said.get(port)):
            return found
    if found := str(said.get("url", "")):
        return found
    if found := _address(said.get("socket"), said.get("socket_port")):
        return found
    return _address(said.get("service"), None)


def caller_of(text: str) -> str:
    """The address of a caller, without its port, or what stands for it; empty if it is none."""
    host = split(text).host
    if not is_ip(host):
        return ""
    if is_loopback(host) or is_link_local(host) or is_unspecified(host):
        return LOCAL
    return PUBLIC if is_public(host) else host


def _address(host: Scalar | None, port: Scalar | None) -> str:
    """One address; some put the port into the host, and some write it as a text."""
    text = str(host or "")
    if not text or len(text) > NAME_CHARS or not text.isprintable() or set(text) & set("/@ ?"):
        return ""
    name, inner = split(text)
    number = inner if inner is not None else _port(port)
    return join(name, number)


def _port(port: Scalar | None) -> int | None:
    text = str(port or "")
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65_536 else None


def host_of_url(url: str) -> str:
    """Host and port of a url, without user, password, path and query; empty if it has none."""
    beginning = _BEGINNING.match(url.encode(errors="replace"))
    if beginning is None:
        return ""
    scheme, _, authority = beginning.group().decode(errors="replace").partition("://")
    return _address(authority.rpartition("@")[2], _DEFAULT_PORTS.get(scheme.lower()))


def in_namespace(peer: str, k8s_namespace: str) -> str:
    """The name of a Service beside the caller: `cart:80` of a caller in `shop` is `cart.shop.svc:80`."""
    host, port = split(peer)
    if not k8s_namespace or "." in host or ":" in host or host == "localhost":
        return peer
    return join(normalised(f"{host}.{k8s_namespace}.svc"), port)
