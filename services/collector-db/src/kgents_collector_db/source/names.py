"""Resolves host names before a client library does: one thread per name, so a dead resolver blocks no other name.

The event loop resolves names in a few threads that all targets and the bus share, and a hanging lookup cannot be
cancelled: the polls of one target would soon occupy all of them.
"""

import asyncio
import socket
from concurrent.futures import Future
from threading import Thread
from typing import Final

from kgents_shared.bus.deadline import Deadline
from kgents_shared.contract.address import is_ip

_Answer = Future[OSError | UnicodeError | None]

_asked: Final[dict[str, _Answer]] = {}
"""Lookups under way: a second caller for the same name waits for the same answer."""


async def resolved(host: str) -> None:
    """Return when the system has resolved the name, so that a client library can look it up without blocking.

    The caller sets the deadline. Returns at once for an IP address or the directory of a socket.

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


async def resolved_within(host: str, limit_s: float) -> None:
    """As `resolved`, with a deadline: a resolver that does not answer knows no address either.

    Raises:
        OSError, UnicodeError: as `socket.getaddrinfo`.
    """
    try:
        async with Deadline(limit_s):
            await resolved(host)
    except TimeoutError:
        raise socket.gaierror(socket.EAI_AGAIN, "no answer in time") from None


def _ask(host: str, answer: _Answer) -> None:
    failure: OSError | UnicodeError | None = None
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        failure = error
    del _asked[host]
    answer.set_result(failure)
