"""Sockets and addresses as the kernel lists them over netlink: no right is needed, and no file of another process."""

import socket
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from kgents_collector_host import proc
from kgents_collector_host.sample import Socket
from kgents_collector_host.source.files import Root
from kgents_shared.contract import address

TIMEOUT_S: Final = 2.0
"""The kernel answers at once, or not at all."""
CONNECTED_EVERY: Final = 20
"""Polls after which connections are listed though none was made or ended by what the kernel counts. Its table has a
place for each that there could be: to go through it costs more than all that is found there."""

_ROUTE: Final = 0
_SOCKET_DIAGNOSTICS: Final = 4
_ERROR: Final = 2
_DONE: Final = 3
_ADDRESS: Final = 20
_GET_ADDRESS: Final = 22
_TCP: Final = 18
"""The older question, which every kernel still answers: of both families at once."""
_REQUEST_DUMP: Final = 0x301
_RECEIVE_BYTES: Final = 1 << 20
_MESSAGE_MAX: Final = 1 << 18

_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_INTERFACE_ADDRESS: Final = struct.Struct("=BBBBI")
_STATES: Final = struct.Struct("=4x48xI4x")
"""Of `struct inet_diag_req` the states; the rest limits what is listed."""
_PORTS: Final = struct.Struct("!HH")
_IDENTITY: Final = slice(4, 52)
_INODE_AT: Final = 68
_INODE: Final = struct.Struct("=I")
_DIAGNOSTICS_BYTES: Final = 72
_CGROUP_ID: Final = 21
_CGROUP: Final = struct.Struct("=Q")
_LOCAL_ADDRESS: Final = 2
_OWN_ADDRESS: Final = 1
_TENTATIVE: Final = 0x40
_ESTABLISHED: Final = 1 << 1
_LISTENING: Final = 1 << 10
_IPV4_BYTES: Final = 4
_UNIVERSE: Final = 0
"""The scope of an address that other machines can reach."""


class Sockets:
    """The TCP sockets of this network namespace that listen or are connected. What is known of one is not parsed."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._known: dict[bytes, Socket] = {}  # by what identifies it: its ends, and the kernel's cookie
        self._counts: proc.TcpCounts | None = None
        self._poll = 0

    def read(self) -> tuple[Socket, ...] | None:
        """All of them; None: the kernel does not list them."""
        before, self._counts = self._counts, proc.tcp_counts(self._root.read("/proc/self/net/snmp") or b"")
        self._poll += 1
        is_same = before is not None and before == self._counts and self._poll % CONNECTED_EVERY != 0
        states = _LISTENING if is_same else _LISTENING | _ESTABLISHED
        found = {key: each for key, each in self._known.items() if is_same and not each.is_listening}
        try:
            for kind, body in _dump(_SOCKET_DIAGNOSTICS, _TCP, _STATES.pack(states)):
                identity = body[_IDENTITY]
                each = self._known.get(identity)
                if each is None or not each.inode:  # one that no process has accepted yet has none
                    each = _socket(body) if kind == _TCP else None
                if each is not None:
                    found[identity] = each
        except OSError:
            self._counts = None
            return None
        self._known = found
        return tuple(found.values())


def addresses() -> list[tuple[int, str]]:
    """Index of the interface and address, of those that other machines can reach; empty if they are not listed."""
    try:
        return [
            found
            for kind, body in _dump(_ROUTE, _GET_ADDRESS, bytes(_INTERFACE_ADDRESS.size))
            if kind == _ADDRESS and (found := _address(body)) is not None
        ]
    except OSError:
        return []


def _dump(protocol: int, kind: int, request: bytes) -> Iterator[tuple[int, bytes]]:
    """The messages of one answer.

    Raises:
        OSError: the kernel refuses, or answers too late.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol) as kernel:
        kernel.settimeout(TIMEOUT_S)
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        kernel.sendto(_HEADER.pack(_HEADER.size + len(request), kind, _REQUEST_DUMP, 1, 0) + request, (0, 0))
        while True:
            data = kernel.recv(_MESSAGE_MAX)
            at = 0
            while at + _HEADER.size <= len(data):
                length, found, *_ = _HEADER.unpack_from(data, at)
                if found == _DONE or length < _HEADER.size:
                    return
                body = data[at + _HEADER.size : at + length]
                if found == _ERROR:
                    number = -struct.unpack_from("=i", body)[0]
                    raise OSError(number, "the kernel refuses to list it")
                yield found, body
                at += (length + 3) & ~3


def _socket(body: bytes) -> Socket | None:
    if len(body) < _DIAGNOSTICS_BYTES:
        return None
    local_port, remote_port = _PORTS.unpack_from(body, 4)
    width = _IPV4_BYTES if body[0] == socket.AF_INET else 16
    local, remote = (_host(body[at : at + width]) for at in (8, 24))
    cgroup = dict(_attributes(body, _DIAGNOSTICS_BYTES)).get(_CGROUP_ID, b"")
    return Socket(
        local=(local, local_port),
        remote=(remote, remote_port),
        inode=_INODE.unpack_from(body, _INODE_AT)[0],
        cgroup_id=_CGROUP.unpack(cgroup)[0] if len(cgroup) == _CGROUP.size else 0,
    )


def _address(body: bytes) -> tuple[int, str] | None:
    if len(body) < _INTERFACE_ADDRESS.size:
        return None
    _, _, flags, scope, index = _INTERFACE_ADDRESS.unpack_from(body)
    found = dict(_attributes(body, _INTERFACE_ADDRESS.size))
    raw = found.get(_LOCAL_ADDRESS) or found.get(_OWN_ADDRESS)
    if scope != _UNIVERSE or flags & _TENTATIVE or raw is None or len(raw) not in (4, 16):
        return None
    return index, _host(raw)


def _attributes(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind, body[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


@lru_cache(maxsize=4096)
def _host(raw: bytes) -> str:
    return address.normalised(socket.inet_ntop(socket.AF_INET if len(raw) == _IPV4_BYTES else socket.AF_INET6, raw))
