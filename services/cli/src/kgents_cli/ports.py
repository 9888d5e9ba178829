"""Ports of this machine for what `kgents up` starts: the usual one, unless another program has it."""

import socket


def is_free(port: int) -> bool:
    """Whether a server can listen on a port of 127.0.0.1."""
    return _bound(port) is not None


def free_port(wanted: int) -> int:
    """This port if it is free, otherwise another one."""
    return _bound(wanted) or _bound(0) or wanted


def _bound(port: int) -> int | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return None
        found: int = probe.getsockname()[1]
        return found
