"""One resource as its API server answers: the pages of a list, the lines of a watch, the newest version.

Nothing is remembered here: where a watch resumes, and when to list again, is up to the reflector.
"""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, Generic, TypeVar

import msgspec

from kgents_shared.kubernetes.client import ApiClient
from kgents_shared.kubernetes.error import UNREADABLE, ApiError, Status, UnreadableError
from kgents_shared.kubernetes.head import Head
from kgents_shared.kubernetes.messages import NOTHING, Headed, Line, Page, PageMetadata
from kgents_shared.kubernetes.watched import Watched

O = TypeVar("O")  # noqa: E741 - an object of the Kubernetes API

PAGE: Final = 500
"""Objects per page: larger pages block the event loop for too long."""
BREATH: Final = 20
"""Objects handled before other tasks run: a lease renewal takes several turns of the event loop."""
WATCH_MIN_S: Final = 300.0
WATCH_MAX_S: Final = 600.0
"""A watch is requested for a time between these, in seconds, so that not all restart at once."""
GRACE_S: Final = 30.0
"""Seconds after that until the client itself ends it."""

OPEN: Final = "OPEN"
"""Our own event type: the server has accepted the watch, though it may not send anything for long."""


class Resource(Generic[O]):
    """Requests for the objects of one kind: all of them, those of one namespace, or those with some labels."""

    def __init__(self, client: ApiClient, kind: Watched[O], *, namespace: str, selector: str) -> None:
        """`namespace`: this one only; `selector`: objects with these labels only."""
        self.path = path_of(kind, namespace)
        self._client = client
        self._selector = {"labelSelector": selector} if selector else {}
        self._decoder = msgspec.json.Decoder(kind.type)

    async def pages(self) -> AsyncGenerator[Page, None]:
        """All objects, page by page, all of one version: always the newest, so that it never goes back in time."""
        page = Page(PageMetadata())
        while True:
            following = {"continue": page.metadata.continue_} if page.metadata.continue_ else {}
            params = {"limit": str(PAGE), **self._selector, **following}
            page = await self._client.get(self.path, params, Page)
            yield page
            if not page.metadata.continue_:
                return

    async def newest_version(self) -> str:
        """The newest version of the whole store, whatever the list shows and whichever server answers."""
        page = await self._client.get(self.path, {"limit": "1"}, Page)
        return page.metadata.resource_version

    async def lines(self, params: dict[str, str]) -> AsyncGenerator[tuple[str, msgspec.Raw], None]:
        """(type, object) of each line of a watch; the first is OPEN.

        Raises:
            ApiError: as `ApiClient.lines`; a line cannot be read, or is an error.
            TimeoutError: as `ApiClient.lines`.
        """
        seconds = random.uniform(WATCH_MIN_S, WATCH_MAX_S)  # noqa: S311 - spread, not secrecy
        every = {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(int(seconds)), **self._selector}
        lines = self._client.lines(self.path, every | params, deadline_s=seconds + GRACE_S)
        async with aclosing(lines):
            number = 0
            async for line in lines:
                number += 1
                if number % BREATH == 0:  # while lines keep coming, reading them never yields to the event loop
                    await asyncio.sleep(0)
                if not line:
                    yield OPEN, NOTHING
                    continue
                try:
                    found = msgspec.json.decode(line, type=Line)
                    refusal = msgspec.json.decode(found.object, type=Status) if found.type == "ERROR" else None
                except UNREADABLE as error:
                    raise self._unreadable("line of a watch", error) from None
                if refusal is not None:
                    raise refusal.error()
                yield found.type, found.object

    def end_watches(self) -> None:
        """End its open watches, as if their deadline had passed."""
        self._client.end_watches(self.path)

    def version_of_all(self, version: str) -> str:
        """The version of a list. A list without one is rejected, so it cannot remove objects by being empty."""
        if not version:
            raise ApiError(0, f"{self.path}: expected a list with a resourceVersion, found none")
        return version

    def decode(self, raw: msgspec.Raw) -> O:
        """An object, undefined fields left out.

        Raises:
            Exception: one of UNREADABLE.
        """
        return self._decoder.decode(raw)

    def head_of(self, found: O, raw: msgspec.Raw) -> Head:
        """The head of an object that was decoded from these bytes.

        Raises:
            ApiError: it cannot be read, or has no name.
        """
        head = getattr(found, "metadata", None)
        return head if isinstance(head, Head) and head.name else self.named(raw)

    def named(self, raw: msgspec.Raw) -> Head:
        """The head of an object.

        Raises:
            ApiError: it cannot be read, or has no name.
        """
        head = self.head(raw)
        if not head.name:
            raise self._unreadable("object", "no name")
        return head

    def head(self, raw: msgspec.Raw) -> Head:
        """The head of an object or a bookmark.

        Raises:
            ApiError: it cannot be read.
        """
        try:
            return msgspec.json.decode(raw, type=Headed).metadata
        except UNREADABLE as error:
            raise self._unreadable("object", error) from None

    def _unreadable(self, what: str, why: object) -> UnreadableError:
        return UnreadableError(0, f"{self.path}: unreadable {what}: {why}")


def path_of(kind: Watched[Any], namespace: str = "") -> str:
    """The path of a resource: `/apis/apps/v1/namespaces/shop/deployments`."""
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    return f"{root}/namespaces/{namespace}/{kind.resource}" if namespace else f"{root}/{kind.resource}"
