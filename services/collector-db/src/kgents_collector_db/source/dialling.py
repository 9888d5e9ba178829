"""Connecting to a database: the TLS context of a target, and which errors are of the server, of DNS, of our network."""

import asyncio
import errno
import os
import re
import socket
import ssl
from typing import Final

from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.targets.target import TlsTarget
from kgents_shared.bus.deadline import Deadline

PROBE_S: Final = 0.5
"""Longest wait for a second connection that is to show what the first one did not."""

_NUMBER: Final = re.compile(r"\[Errno (\d+)\]")
_OWN_NETWORK: Final = frozenset(
    {errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE}
)
"""No packet has left this machine: no route, no address, no free port or descriptor, a local firewall."""


def is_refused(error: OSError) -> bool:
    """Whether the host answered, and no process listens on the port.

    For a name with several addresses (`localhost` mostly has two) asyncio raises one error without errno; its text
    has the errno of every attempt.
    """
    return isinstance(error, ConnectionRefusedError) or errno.ECONNREFUSED in _numbers(error)


def of_this_machine(error: BaseException, host: str, where: str) -> Unreachable | None:
    """The cause of an error that is about this machine rather than the database; None for any other."""
    if isinstance(error, socket.gaierror | UnicodeError):
        return unresolved(host)
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError | FileNotFoundError):
        numbers = _numbers(error)
        if host.startswith("/") and errno.EACCES in numbers:
            text = f"expected the right to open {where}, found none; try: ls -l {host}"
            return Unreachable("degraded", "missing privilege", text)
        if numbers and numbers <= _OWN_NETWORK:
            found = os.strerror(min(numbers)).lower()
            text = f"expected a way to {where}, found none from this machine: {found}; try: ip route get {host}"
            return Unreachable("degraded", "own network", text)
    return None


def unresolved(host: str) -> Unreachable:
    """The name of the host does not resolve here: nothing is known of the database."""
    text = f"expected an address of {host}, found that the name does not resolve here; try: getent hosts {host}"
    return Unreachable("degraded", "unknown name", text)


def root_of(error: BaseException) -> BaseException:
    """The first error of a chain: the client library wraps those of the operating system."""
    while (deeper := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        error = deeper
    return error


def tls_context(target: TlsTarget) -> ssl.SSLContext:
    """How we speak TLS with a target, our certificate included.

    Raises:
        ssl.SSLError: a file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=target.tls_ca_file)
        if target.tls != "verify-full":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if target.tls_cert_file is not None:
            context.load_cert_chain(target.tls_cert_file, target.tls_key_file, password="")
    except ssl.SSLError:
        raise
    except OSError as error:
        files = {"tls_ca_file": target.tls_ca_file, "tls_cert_file": target.tls_cert_file}
        named = ", ".join(f"{name} {path}" for name, path in files.items() if path is not None)
        raise ssl.SSLError(error.errno, f"no readable {named or 'authorities'} ({error.strerror})") from None
    return context


def of_tls(error: BaseException, target: TlsTarget) -> Unreachable:
    """TLS is not agreed on, because of the server's certificate or of ours."""
    reason = getattr(error, "reason", None)
    found = reason.lower().replace("_", " ") if reason else getattr(error, "strerror", None) or type(error).__name__
    return no_tls(found, target)


def no_tls(reason: str, target: TlsTarget) -> Unreachable:
    """TLS is not agreed on, for this reason."""
    found, advice = reason, f"openssl s_client -connect {target.address}"
    if "certificate required" in reason or (target.tls_cert_file is None and "handshake failure" in reason):
        found, advice = "that it requires a certificate of its clients", "set tls_cert_file and tls_key_file"
    elif target.tls_cert_file is not None and ("alert unknown ca" in reason or "bad certificate" in reason):
        found, advice = (
            f"that it does not trust our certificate {target.tls_cert_file}",
            f"{advice} -cert {target.tls_cert_file}",
        )
    how = "no TLS" if target.tls == "disable" else "TLS"
    text = f"expected {how} as `tls: {target.tls}` says at {target.address}, found {found}; try: {advice}"
    return Unreachable("degraded", "tls", text)


async def speaks_tls(host: str, port: int) -> bool:
    """Whether the server at a port takes part in a TLS handshake: asked after it closed a connection without TLS."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with Deadline(PROBE_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
            writer.transport.abort()
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except (OSError, ValueError):
        return False
    return True


def _numbers(error: OSError) -> frozenset[int]:
    if isinstance(error, socket.gaierror):
        return frozenset()
    return frozenset({error.errno} if error.errno else map(int, _NUMBER.findall(str(error))))
