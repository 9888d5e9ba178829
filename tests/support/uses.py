"""A proxy before a NATS server that notes every subject that a client publishes and subscribes to."""

import asyncio
from contextlib import suppress

from support.proxy import CHUNK_BYTES, Proxy


class Uses(Proxy):
    """`async with Uses(server.port) as uses`."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.published: set[str] = set()
        self.subscribed: set[str] = set()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        rest = b""
        is_server = False
        with suppress(OSError):
            while chunk := await source.read(CHUNK_BYTES):
                is_server = is_server or chunk.startswith(b"INFO")
                if not is_server:
                    rest = self._noted(rest + chunk)
                sink.write(chunk)
                await sink.drain()
        sink.close()

    def _noted(self, data: bytes) -> bytes:
        """Take note of whole commands; returns what is left."""
        while b"\r\n" in data:
            line, _, rest = data.partition(b"\r\n")
            verb, *words = line.decode().split(" ")
            size = int(words[-1]) + 2 if verb in ("PUB", "HPUB") else 0
            if len(rest) < size:
                return data
            if size:
                self.published.add(words[0])
            elif verb == "SUB":
                self.subscribed.add(words[0])
            data = rest[size:]
        return data
