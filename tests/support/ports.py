"""Ports for the servers of tests, below those that the kernel lends to outgoing connections.

A server that is killed and started again needs its port back. One out of the kernel's range may be gone by then: lent
to any connection of any process, even to the client that tries to reach this very server and so reaches itself.
"""

import itertools
import random
import socket
from collections import deque
from typing import Final

LOWEST: Final = 11_000
COUNT: Final = 10_000
"""The cluster bus of a Redis listens 10,000 higher than itself: so neither a server of ours nor the kernel is there."""

KEPT: Final = 300
"""Ports that are kept from other processes which look for one: those of a test, and of all that run beside it."""

_kept: deque[socket.socket] = deque(maxlen=KEPT)
_tries = itertools.count(random.randrange(COUNT))


def free_port() -> int:
    """A port that is free now, and that no process gets by chance later.

    It stays bound here, also while its server is down. A server that sets SO_REUSEADDR, as all do, may listen on it
    nevertheless, since we do not; but no other call of this function finds it, since it is free for none without.
    """
    for _ in range(COUNT):
        port = LOWEST + next(_tries) % COUNT
        kept = socket.socket()
        try:
            kept.bind(("127.0.0.1", port))
        except OSError:
            kept.close()
            continue
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if len(_kept) == KEPT:
            _kept[0].close()
        _kept.append(kept)
        return port
    raise OSError(f"expected a free port from {LOWEST} on, found none of {COUNT}")
