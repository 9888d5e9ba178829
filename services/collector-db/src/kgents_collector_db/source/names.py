"""Names are looked up here first, in a thread of its own for each: a resolver that is dead holds up no other.

The event loop looks names up in a few threads that all targets and the bus share, and a lookup that hangs cannot be
ended: the polls of one target alone would soon hold all of them.
"""

import asyncio
import socket
from concurrent.futures import Future
from threading import Thread
from typing import Final

from kgents_shared.contract.address import is_ip

_Answer = Future[OSError | UnicodeError | None]

_asked: Final[dict[str, _Answer]] = {}
"""Lookups under way: a second caller for the same name waits for the same answer."""


async def look_up(host: str) -> None:
    """Return when the system knows the name, so that a client library may look it up without harm.

    Put a deadline around it. An address, or the directory of a socket, needs none.

    Raises:
        OSError, UnicodeError: as `socket.getaddrinfo`.
    """
    if host.startswith("/") or is_ip(host):
        return
    answer = _asked.get(host)
    if answer is None:
        answer = _asked[host] = Future()
        Thread(target=_ask, args=(host, answer), name="name lookup", daemon=True).start()
    failure = await asyncio.shield(asyncio.wrap_future(answer))
    if failure is not None:
        raise failure


def _ask(host: str, answer: _Answer) -> None:
    failure: OSError | UnicodeError | None = None
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        failure = error
    del _asked[host]
    answer.set_result(failure)
