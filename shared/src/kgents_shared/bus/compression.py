"""Compresses many similar values: value → bytes, a tenth or less of the size of its objects.

A table of 100,000 pods is rarely read: an event changes one of them. So a holder of that many keeps them compressed,
and decompresses the one it needs. Compressing takes about as long as encoding twice, decompressing hardly longer than
decoding.
"""

import zlib
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import msgspec

T = TypeVar("T")

LEVEL: Final = 1
WINDOW: Final = -12
"""4 KiB, without a header. Small on purpose: zlib clears its whole window for each value."""
MEMORY: Final = 5
GROUPS_MAX: Final = 256
"""A group's number is one byte; values of further groups join the last one."""


class Compression(Generic[T]):
    """Values of one type, each stored as its difference from the first value of its group."""

    def __init__(self, type_: object, *, alike: Callable[[T], str] = lambda _: "") -> None:
        """`alike` groups values that resemble each other, into a few dozen groups at most."""
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(type_)
        self._alike = alike
        self._groups: dict[str, int] = {}
        self._firsts: list[bytes] = []

    def compress(self, value: T) -> bytes:
        """The number of the value's group, and the difference. Equal values with equal field order give equal bytes."""
        encoded = self._encoder.encode(value)
        group = self._groups.setdefault(self._alike(value), min(len(self._firsts), GROUPS_MAX - 1))
        if group == len(self._firsts):
            self._firsts.append(encoded)
        compressor = zlib.compressobj(
            LEVEL, zlib.DEFLATED, WINDOW, MEMORY, zlib.Z_DEFAULT_STRATEGY, self._firsts[group]
        )
        return b"%c%b%b" % (group, compressor.compress(encoded), compressor.flush())

    def decompress(self, compressed: bytes) -> T:
        """A new object each time: it shares nothing with others."""
        difference = zlib.decompressobj(WINDOW, self._firsts[compressed[0]])
        return self._decoder.decode(difference.decompress(memoryview(compressed)[1:]))
