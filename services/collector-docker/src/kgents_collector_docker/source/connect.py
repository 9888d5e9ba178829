"""How to reach an engine: a setting, a context, DOCKER_HOST or a well-known socket → aiodocker's session for it."""

import os
import ssl
from typing import Final

import aiodocker
import aiohttp
from aiodocker.exceptions import DockerContextInvalidError, DockerError

from kgents_collector_docker.config import DEFAULT_URL, EngineConfig, TlsConfig
from kgents_collector_docker.detect import FORWARD, NO_CONTEXT, SCHEMES, context, sockets
from kgents_collector_docker.detect import host as docker_host
from kgents_collector_docker.source.fault import EngineError
from kgents_shared.contract.address import of_url
from kgents_shared.runtime.config import process_environ

_UNREADABLE: Final = (AttributeError, KeyError, TypeError, RuntimeError)
"""What aiodocker raises for an unusable context or a Windows pipe."""


def connect(engine: EngineConfig) -> aiodocker.Docker:
    """The session. Nothing is sent yet.

    Raises:
        EngineError: a file of it, the context or the address cannot be used.
    """
    # No deadline here, or aiohttp's own of five minutes would end the event stream.
    timeout = aiohttp.ClientTimeout(total=None)
    try:
        if engine.context not in (None, NO_CONTEXT):
            return aiodocker.Docker(context=engine.context, timeout=timeout)
        if engine.url is None:
            return _found(engine, timeout)
        url, tls = engine.url, _tls(engine.tls) if engine.tls is not None else None
        if not url.startswith("unix://"):
            scheme = "https" if tls is not None or url.startswith("https://") else "http"
            url = f"{scheme}://{url.partition('://')[2].rstrip('/')}"
        return aiodocker.Docker(url=url, ssl_context=tls, timeout=timeout)
    except (DockerError, ImportError, OSError, ValueError, *_UNREADABLE) as error:
        raise EngineError(
            f"cannot prepare the connection to {engine.where}: {_why(error)}; {_advice(engine, error)}"
        ) from error


def address(docker: aiodocker.Docker) -> str:
    """Its address, without a login."""
    if isinstance(docker.connector, aiohttp.UnixConnector):
        return f"unix://{docker.connector.path}"
    scheme, _, rest = docker.docker_host.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def host(docker: aiodocker.Docker) -> str:
    """The host of its address; empty behind a socket."""
    found = address(docker)
    return "" if found.startswith("unix://") else of_url(found).host


def _tls(given: TlsConfig) -> ssl.SSLContext:
    tls = ssl.create_default_context(cafile=given.ca_file)
    if given.cert_file is not None:
        tls.load_cert_chain(given.cert_file, given.key_file, password="")  # else it asks the terminal
    return tls


def _found(engine: EngineConfig, timeout: aiohttp.ClientTimeout) -> aiodocker.Docker:
    """The engine of the `docker` command: of DOCKER_HOST, its current context, or behind a well-known socket."""
    environ = process_environ()
    if given := docker_host(environ):
        if not given.startswith((*SCHEMES, "ssh://")):
            raise EngineError(f"DOCKER_HOST: expected an address of {', '.join(SCHEMES)}, found another; correct it")
        return aiodocker.Docker(url=given, timeout=timeout)
    if engine.context is None and (name := context(environ)):
        return aiodocker.Docker(context=name, timeout=timeout)
    paths = sockets(environ)
    return aiodocker.Docker(url=f"unix://{paths[0]}" if paths else DEFAULT_URL, timeout=timeout)


def _why(error: Exception) -> str:
    """What is wrong with a file or an address; never quotes it."""
    if isinstance(error, DockerContextInvalidError):
        return error.message
    if isinstance(error, DockerError):
        return "it is behind ssh, which is not spoken here"
    if isinstance(error, ssl.SSLError):  # its number is none of the operating system's
        return (error.reason or "no PEM file, or a key with a passphrase").lower().replace("_", " ")
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return "an address or file that cannot be used"


def _advice(engine: EngineConfig, error: Exception) -> str:
    if isinstance(error, DockerError) and not isinstance(error, DockerContextInvalidError):
        return FORWARD
    if engine.tls is not None:
        return "check the files of `tls`: certificate and key in PEM, of one pair, the key without a passphrase"
    if engine.context is not None:
        return "check it with `docker context ls`"
    return "check DOCKER_HOST, with DOCKER_TLS_VERIFY also DOCKER_CERT_PATH, and `docker context ls`"
