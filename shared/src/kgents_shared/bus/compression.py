"""Compresses many similar values: value → bytes, a tenth or less of the size of its objects.

A table of 100,000 pods is rarely read: an event changes one of them. So a holder of that many keeps them compressed,
and decompresses the one it needs. Compressing takes about as long as encoding twice, decompressing hardly longer than
decoding. The first few thousand values are only encoded.
"""

import zlib
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

LEVEL: Final = 2
"""A tenth smaller than level 1, in the same time."""
WINDOW: Final = -12
"""4 KiB, without a header. Small on purpose: zlib clears its whole window for each value."""
MEMORY: Final = 5
PLAIN: Final = 255
GROUPS_MAX: Final = PLAIN
"""A group's number is one byte; values of further groups join the last one."""
PLAIN_BYTES: Final = 12 * 1024**2
"""Unless a holder says otherwise: where there are few values, time is worth more than memory."""


class Compression(Generic[T]):
    """Values of one type, each stored as its difference from the first value of its group."""

    def __init__(
        self,
        encode: Callable[[T], bytes],
        decode: Callable[[bytes], T],
        *,
        alike: Callable[[T], str] = lambda _: "",
        plain_bytes: int | None = None,
    ) -> None:
        """`encode` and `decode` are each other's reverse.

        `alike` groups values that resemble each other, into a few dozen groups at most.
        `plain_bytes`: so many bytes of the first values are kept as they are; None: PLAIN_BYTES.
        """
        self._encode = encode
        self._decode = decode
        self._alike = alike
        self._groups: dict[str, int] = {}
        self._firsts: list[bytes] = []
        self._room_bytes = PLAIN_BYTES if plain_bytes is None else plain_bytes

    def compress(self, value: T, encoded: bytes | None = None) -> bytes:
        """The number of the value's group, and the difference; `encoded`: bytes from which `decode` makes the value."""
        if encoded is None:
            encoded = self._encode(value)
        if len(encoded) <= self._room_bytes:
            self._room_bytes -= len(encoded)
            return b"%c%b" % (PLAIN, encoded)
        group = self._groups.setdefault(self._alike(value), min(len(self._firsts), GROUPS_MAX - 1))
        if group == len(self._firsts):
            self._firsts.append(encoded)
        compressor = zlib.compressobj(
            LEVEL, zlib.DEFLATED, WINDOW, MEMORY, zlib.Z_DEFAULT_STRATEGY, self._firsts[group]
        )
        return b"%c%b%b" % (group, compressor.compress(encoded), compressor.flush())

    def decompress(self, compressed: bytes) -> T:
        """A new object each time: it shares nothing with others."""
        return self._decode(self.encoded(compressed))

    def encoded(self, compressed: bytes) -> bytes:
        """The bytes that were compressed, at a fifth of the cost."""
        if compressed[0] == PLAIN:
            return compressed[1:]
        difference = zlib.decompressobj(WINDOW, self._firsts[compressed[0]])
        return difference.decompress(memoryview(compressed)[1:])
