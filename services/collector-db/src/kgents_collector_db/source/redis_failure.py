"""Failures of a connection to Redis → Unreachable. The server is not quoted: it may repeat what was sent."""

import asyncio
import ssl
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    InvalidResponse,
    NoPermissionError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.source.dialling import (
    PROBE_S,
    is_refused,
    no_tls,
    of_this_machine,
    of_tls,
    root_of,
    tls_context,
)
from kgents_collector_db.targets.redis import RedisTarget
from kgents_shared.bus.deadline import Deadline


class UnreadableSecretError(Exception):
    """The password file cannot be read."""


_REFUSALS: Final = (
    ("max number of clients", "overloaded", "saturated", "it has reached maxclients; raise it"),
    ("protected mode", "degraded", "missing privilege", "it is in protected mode; give it a password, or bind it"),
    ("busy running a script", "overloaded", "busy script", "a script runs and blocks all others; SCRIPT KILL ends it"),
)
"""Part of the server's text → phase, cause, advice."""


_BY_KIND: Final[tuple[tuple[type[Exception], str, str, str], ...]] = (
    (
        UnreadableSecretError, "degraded", "wrong credentials",
        "expected a readable password file for {where}, found none; try: ls -l on it, as the collector's user",
    ),
    (
        AuthenticationError, "degraded", "wrong credentials",
        "expected to log in at {where}, found the login refused; try: {cli} ping",
    ),
    (
        NoPermissionError, "degraded", "missing privilege",
        "expected the right to use INFO at {where}, found none; try: ACL SETUSER <user> +info",
    ),
    (BusyLoadingError, "starting", "starting", "{where} is loading its data."),
    (
        InvalidResponse, "degraded", "unreadable",
        "expected Redis at {where}, found that it speaks another protocol; try: {cli} ping",
    ),
    (
        ResponseError, "degraded", "missing privilege",
        "expected that {where} answers INFO, found it renamed or disabled; try: {cli} info server",
    ),
)  # fmt: skip
"""Error → phase, cause, text; of several kinds the first."""


def unreachable(error: Exception, server_text: str, target: RedisTarget, *, is_reached: bool) -> Unreachable:
    """Why a poll failed.

    Args:
        error: what was raised.
        server_text: what the server sent, in lower case.
        target: which server.
        is_reached: whether the connection was established.
    """
    where = target.address
    for sign, phase, cause, advice in _REFUSALS:
        if sign in server_text:
            return Unreachable(phase, cause, f"{where} rejects us: {advice}.")
    for kind, phase, cause, text in _BY_KIND:
        if isinstance(error, kind):
            return Unreachable(phase, cause, text.format(where=where, cli=_cli(target)))
    if isinstance(error, TimeoutError | RedisTimeoutError):
        return _silent(target, is_reached=is_reached)
    return _broken(error, target)


def of_other_protocol(target: RedisTarget, found: str) -> Unreachable:
    """One side speaks TLS and the other does not."""
    return no_tls(f"that the server {found}", target)


def _silent(target: RedisTarget, *, is_reached: bool) -> Unreachable:
    where = target.address
    if is_reached:
        text = f"{where} accepted the connection and did not answer within {target.timeout_s:g} s; is it stopped?"
        return Unreachable("failing", "frozen", text)
    text = f"{where} could not be reached within {target.connect_timeout_s:g} s; check `host` and the network."
    return Unreachable("failing", "unreachable", text)


def _broken(error: Exception, target: RedisTarget) -> Unreachable:
    where, root = target.address, root_of(error)
    if isinstance(root, ssl.SSLError):
        return of_tls(root, target)
    if (ours := of_this_machine(root, target.host, where)) is not None:
        return ours
    if isinstance(root, OSError) and is_refused(root):
        return Unreachable("failing", "refused", f"{where} refused the connection; is the server running there?")
    text = (
        f"expected Redis at {where}, found that it closes connections ({type(root).__name__}); try: {_cli(target)} ping"
    )
    return Unreachable("failing", "unreachable", text, closes=True)


def _cli(target: RedisTarget) -> str:
    """The command that shows the same, by hand."""
    tls = "" if target.tls == "disable" else " --tls"
    login = f" --user {target.user}" if target.user else ""
    return f"redis-cli -h {target.host} -p {target.port}{tls}{login}{' --askpass' if target.password else ''}"


async def greeting(target: RedisTarget) -> str:
    """The line by which a full or protected server rejects a new client, in lower case.

    It may be lost if the server closes the connection while we send. So connect once more, without sending.
    """
    return await _line(target, b"")


async def speaks_plainly(target: RedisTarget) -> bool:
    """Whether the server answers without TLS."""
    return (await _line(target, b"PING\r\n")).startswith(("+", "-"))


async def tls_alert(target: RedisTarget) -> ssl.SSLError | None:
    """The alert by which a server rejects our certificate, if that is why it closed a connection.

    With TLS 1.3 it comes after the handshake, and may be lost if we have sent something by then: so this sends nothing.
    """
    try:
        async with Deadline(PROBE_S):
            context, host = tls_context(target), target.host
            reader, writer = await asyncio.open_connection(host, target.port, ssl=context, server_hostname=host)
            try:
                await reader.read(1)
            finally:
                writer.transport.abort()
    except ssl.SSLError as error:
        return error
    except (OSError, ValueError):
        pass
    return None


async def _line(target: RedisTarget, sent: bytes) -> str:
    try:
        async with Deadline(PROBE_S):
            reader, writer = await asyncio.open_connection(target.host, target.port)
            try:
                writer.write(sent)
                return (await reader.readline()).decode("utf-8", "replace").lower()
            finally:
                writer.transport.abort()
    except (OSError, ValueError):
        return ""
