"""A TCP proxy before a server, for what networks do: pass, stall, cut, or break off in the middle of a message."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK_BYTES = 64 * 1024


class Proxy:
    """`async with Proxy(server.port) as proxy`; clients use `proxy.url`. It passes all traffic unless set otherwise."""

    def __init__(self, port: int) -> None:
        self.connections = 0
        """Accepted since the start."""
        self._server_port = port
        self._listener: asyncio.Server | None = None
        self._is_refusing = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._answering = asyncio.Event()
        self._answering.set()
        self.delay_s = 0.0
        """Before each chunk, in both directions."""
        self._break_at = b""
        self._broken = asyncio.Event()
        self._half_open_at = b""
        self._writers: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        assert self._listener is not None
        return f"nats://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._listener = await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
            await asyncio.sleep(0)  # an aborted socket is closed by the loop's next turn

    def stall(self) -> None:
        """A black hole: connections stay open and new ones are accepted, but nothing comes through any more.

        What was sent meanwhile arrives when the proxy passes again, even from a client that has long timed out.
        """
        self._flowing.clear()

    def half_open(self) -> None:
        """The server receives everything, and none of its answers comes back, until `flow`."""
        self._answering.clear()

    def half_open_at(self, words: bytes) -> None:
        """`half_open` from what has these words on: the server receives it, and its answer does not come back."""
        self._half_open_at = words

    @property
    def is_answering(self) -> bool:
        """Whether answers of the server come back."""
        return self._answering.is_set()

    def flow(self) -> None:
        """Pass again at full speed, also after `refuse`."""
        self._is_refusing = False
        self.delay_s = 0.0
        self._answering.set()
        self._flowing.set()

    def cut(self) -> None:
        """Reset every connection; new ones pass."""
        for writer in self._writers:
            writer.transport.abort()

    def refuse(self) -> None:
        """Reset every connection, and new ones too."""
        self._is_refusing = True
        self.cut()

    def break_at(self, words: bytes) -> asyncio.Event:
        """At these words, in either direction, pass them with half of what follows and end. Set when that happened."""
        self._break_at, self._broken = words, asyncio.Event()
        return self._broken

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._server_port)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.transport.abort())  # also if it was cancelled before it dialled

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_refusing:
            writer.transport.abort()
            return
        try:
            to_reader, to_writer = await self._dial()
        except OSError:
            writer.transport.abort()
            return
        both = {writer, to_writer}
        self._writers |= both
        self._clients.add(writer)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(reader, to_writer))
                tasks.create_task(self._pump(to_reader, writer))
        finally:
            self._writers -= both
            self._clients.discard(writer)
            for each in both:
                each.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await source.read(CHUNK_BYTES):
                await self._passed(sink)
                if self._break_at and self._break_at in chunk:
                    start = chunk.index(self._break_at) + len(self._break_at)
                    sink.write(chunk[: start + (len(chunk) - start) // 2])
                    self._break_at = b""
                    await sink.drain()
                    self._broken.set()
                    break
                if self._half_open_at and self._half_open_at in chunk:
                    self._half_open_at = b""
                    self.half_open()
                sink.write(chunk)
                await sink.drain()
        sink.close()

    async def _passed(self, sink: asyncio.StreamWriter) -> None:
        """Wait until a chunk may go on."""
        await self._flowing.wait()
        if sink in self._clients:
            await self._answering.wait()
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
