"""The connections of one login: those of requests, and one for each watch."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self

import aiohttp

from kgents_shared.kubernetes.library import Configuration
from kgents_shared.kubernetes.login import Credentials

BUFFER_BYTES: Final = 2 * 1024**2
"""What is read ahead of one answer: an object may have 1.5 MiB, the most that etcd stores."""


class Connections:
    """One login and its connections. When a newer one replaces it, requests in flight are still answered."""

    def __init__(self, credentials: Credentials) -> None:
        self.configuration = credentials.configuration
        self.headers = credentials.headers
        self.session = _session(self.configuration)
        self._users = 0
        self._is_retired = False

    @asynccontextmanager
    async def used(self) -> AsyncIterator[Self]:
        """Keep the connections open for a request."""
        self._users += 1
        try:
            yield self
        finally:
            self._users -= 1
            await self._close_when_unused()

    async def retire(self) -> None:
        """Close the connections after the last request."""
        self._is_retired = True
        await self._close_when_unused()

    async def _close_when_unused(self) -> None:
        if self._is_retired and not self._users:
            await self.session.close()


def _session(configuration: Configuration) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, ssl=_tls(configuration))  # one connection for each watch
    return aiohttp.ClientSession(connector=connector, trust_env=True, read_bufsize=BUFFER_BYTES)


def _tls(configuration: Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
