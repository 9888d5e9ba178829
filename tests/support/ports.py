"""Ports for the servers of tests, below those that the kernel lends to outgoing connections.

A server that is killed and started again needs its port back. One out of the kernel's range may be gone by then: lent
to any connection of any process, even to the client that tries to reach this very server and so reaches itself.
"""

import itertools
import random
import socket
from typing import Final

LOWEST: Final = 11_000
COUNT: Final = 10_000
"""The cluster bus of a Redis listens 10,000 higher than itself: so neither a server of ours nor the kernel is there."""

_tries = itertools.count(random.randrange(COUNT))


def free_port() -> int:
    """A port that is free now, and that no process gets by chance later."""
    for _ in range(COUNT):
        port = LOWEST + next(_tries) % COUNT
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"expected a free port from {LOWEST} on, found none of {COUNT}")
