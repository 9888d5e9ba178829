"""Bytes to the client, and what happens to them on the way."""

import asyncio
import gzip
from collections.abc import Iterable, Iterator
from random import Random
from typing import NoReturn

from aiohttp import web

from support.kube_api.faults import Fault, Faults, pieces
from support.kube_api.status import ApiError, internal_error
from support.kube_api.watches import error_line

BLOCK_BYTES = 256 * 1024
COMPRESSED_BYTES_MIN = 128 * 1024
"""Documents below this are sent as they are: `defaultGzipThresholdBytes` in k8s.io/apiserver."""
TRICKLE_PAUSE_S = 0.002


class StreamEndedError(Exception):
    """Nothing more is sent on this stream."""


class Network:
    """What every connection has in common: whether anything flows at all, and which of them are in use."""

    def __init__(self) -> None:
        self.faults: Faults | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._transports: set[asyncio.Transport] = set()

    def open(self, request: web.Request) -> None:
        if request.transport is not None:
            self._transports.add(request.transport)

    def close(self, request: web.Request) -> None:
        if request.transport is not None:
            self._transports.discard(request.transport)

    def fault_of_line(self, dice: Random) -> Fault | None:
        return None if self.faults is None else self.faults.of_line(dice)

    def hang(self) -> None:
        """A black hole: connections stay open and are accepted, but nothing is answered or sent."""
        self._flowing.clear()

    def flow(self) -> None:
        self._flowing.set()

    async def pass_through(self) -> None:
        await self._flowing.wait()

    def cut(self) -> None:
        """Reset every connection on which something is being answered."""
        for transport in self._transports:
            transport.abort()


class Wire:
    """The answer to one request, sent in parts; `fault` is what that request was drawn."""

    def __init__(self, request: web.Request, network: Network, dice: Random, fault: Fault | None) -> None:
        self.request = request
        self.dice = dice
        self.fault = fault
        self._network = network
        self._response = web.StreamResponse(headers={"Content-Type": "application/json"})
        self._is_compressed = False

    async def prepare(self, *, may_compress: bool = False) -> None:
        """Send the head. A compressed body is one gzip member for each block, as Kubernetes 1.37 flushes a watch."""
        self._is_compressed = may_compress and "gzip" in self.request.headers.get("Accept-Encoding", "")
        if self._is_compressed:
            self._response.headers["Content-Encoding"] = "gzip"
        await self._network.pass_through()
        await self._response.prepare(self.request)

    async def send_document(self, parts: Iterable[bytes]) -> web.StreamResponse:
        """Send a whole document, or half of one.

        Raises:
            StreamEndedError: half of it.
        """
        blocks = _blocks(parts)
        first = next(blocks, b"")
        await self.prepare(may_compress=len(first) > COMPRESSED_BYTES_MIN)
        if self.fault is Fault.SHORT:
            await self._break_off(first)
        await self._write(first)
        for block in blocks:
            await self._write(block)
        return await self.finish()

    async def send_lines(self, lines: Iterable[bytes]) -> None:
        """Send lines of a watch, each as the faults decide.

        Raises:
            StreamEndedError: a fault reset the connection or ended the stream.
        """
        if self._network.faults is None:
            for block in _blocks(lines):
                await self._write(block)
            return
        for line in lines:
            fault = self._network.fault_of_line(self.dice)
            await (self._write(line) if fault is None else self._suffer(fault, line))

    async def finish(self) -> web.StreamResponse:
        await self._response.write_eof()
        return self._response

    async def _suffer(self, fault: Fault, line: bytes) -> None:
        if fault is Fault.CUT:
            await self._break_off(line)
        if fault is Fault.HANG:
            await asyncio.Event().wait()
        if fault is Fault.TRICKLE:
            for piece in pieces(line, self.dice):
                await self._write(piece)
                await asyncio.sleep(TRICKLE_PAUSE_S)
            return
        if fault is Fault.ERROR:
            await self._write(error_line(internal_error("etcdserver: leader changed")))
        if fault is Fault.GONE:
            gone = ApiError(410, "Expired", "The resourceVersion for the provided watch is too old.")
            await self._write(error_line(gone))
        raise StreamEndedError

    async def _break_off(self, body: bytes) -> NoReturn:
        """Send half of it and reset the connection."""
        await self._write(body[: len(body) // 2])
        abort(self.request)
        raise StreamEndedError

    async def _write(self, block: bytes) -> None:
        await self._network.pass_through()
        await self._response.write(gzip.compress(block, 1) if self._is_compressed else block)


def abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _blocks(parts: Iterable[bytes]) -> Iterator[bytes]:
    block: list[bytes] = []
    size = 0
    for part in parts:
        block.append(part)
        size += len(part)
        if size >= BLOCK_BYTES:
            yield b"".join(block)
            block, size = [], 0
    if block:
        yield b"".join(block)
