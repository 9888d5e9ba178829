"""Everything that is said under our subjects on a server, from the moment on when the tape runs."""

from types import TracebackType
from typing import Self

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg


class Tape:
    """`async with Tape(server.url) as tape`; what JetStream refused in the end is on it too."""

    def __init__(self, url: str) -> None:
        self.messages: list[bytes] = []
        """Subject, headers and payload of each, in order."""
        self._url = url
        self._client: Client | None = None

    async def __aenter__(self) -> Self:
        self._client = await nats.connect(self._url, name="tape")
        await self._client.subscribe("kgents.>", cb=self._note)
        await self._client.flush()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._client is not None
        await self._client.close()

    async def _note(self, message: Msg) -> None:
        headers = " ".join(f"{key}: {value}" for key, value in (message.headers or {}).items())
        self.messages.append(b"\n".join([message.subject.encode(), headers.encode(), message.data]))
