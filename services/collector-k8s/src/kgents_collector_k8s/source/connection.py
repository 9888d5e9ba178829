"""The connections of one login: those of requests, and one for each watch."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from kubernetes_asyncio.client.rest import RESTClientObject

from kgents_collector_k8s.source.login import Credentials


class Connections:
    """One login and its connections. When a newer one replaces it, requests in flight are still answered."""

    def __init__(self, credentials: Credentials) -> None:
        self.configuration = credentials.configuration
        self.headers = credentials.headers
        self.rest = RESTClientObject(self.configuration, maxsize=0)  # one connection for each watch
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
            await self.rest.close()
