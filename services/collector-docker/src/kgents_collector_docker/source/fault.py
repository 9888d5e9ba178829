"""Errors of a connection to an engine → one sentence: what was expected, what was found, what to try."""

import os
import ssl
from typing import Final

import aiohttp

_PATHLESS: Final = "is the engine running, and is this its address?"


class EngineError(Exception):
    """The engine cannot be watched now; the text is one sentence for an operator."""


class GoneError(EngineError):
    """The object does not exist on the engine."""


class RefusedError(EngineError):
    """The engine, or a proxy in front of it, answers but refuses this one request."""


class SilentError(EngineError):
    """It did not answer this one request in time; others may succeed: a hanging container blocks only its own."""


class GarbledError(EngineError):
    """It answers, but not as a Docker engine does."""


def why_not_connected(where: str, path: str, error: aiohttp.ClientError | OSError) -> str:
    """The sentence for a request that got no answer."""
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError | ssl.SSLError):
        return f"{where}: TLS failed ({_tls_reason(error)}); check ca_file, cert_file and the host name of the url"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, PermissionError):
        return (
            f"{where}: permission denied for user {os.geteuid()}; add this user to the group that owns the socket "
            "(usually docker), or run as one that is in it"
        )
    if isinstance(cause, FileNotFoundError):
        return f"{where}: there is no such socket; start Docker, or set engines[].url to where its socket is"
    if isinstance(cause, ConnectionRefusedError):
        return f"{where}: nothing listens there; start the engine, or correct engines[].url"
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(cause, OSError):
        return f"{where}: cannot connect ({cause.strerror or type(cause).__name__}); {_PATHLESS}"
    return f"{where}: no answer to GET /{path} ({type(error).__name__}); {_PATHLESS}"


def _tls_reason(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        # aiohttp's own errors are subclasses of SSLError without its attributes.
        if isinstance(cause, ssl.SSLError) and (reason := getattr(cause, "reason", None)):
            return str(reason).lower().replace("_", " ")
        cause = getattr(cause, "os_error", None) or getattr(cause, "certificate_error", None) or cause.__cause__
    return "the certificate was not accepted"
