"""Bodies of messages → bytes of a fifth of their size, by zstd with a dictionary of what such messages repeat.

PostgreSQL compresses no row of this size, and without a dictionary a single message repeats too little. A dictionary
is a row of the archive and never changes; a body names the one it was made with. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import zstandard

RAW: Final = 0
"""The codec of a body that is stored as it is."""
DICTIONARY_BYTES: Final = 32 * 1024
SAMPLES: Final = 1_000
"""Messages from which a dictionary is made; fewer teach it their values instead of what they have in common."""
SAMPLE_BYTES_MAX: Final = 8 * 1024**2
"""What the samples of a signal may take of memory."""
LEVEL: Final = 3
BODY_BYTES_MAX: Final = 64 * 1024**2
"""The largest message that a NATS server can be made to take. What says that it unpacks to more is damaged."""


class DamagedError(Exception):
    """A body that cannot be unpacked."""


class Packing:
    """How the bodies of one signal are packed: as they are, until there is a dictionary."""

    def __init__(self, codec: int = RAW, dictionary: bytes = b"") -> None:
        self.codec: Final = codec
        if codec != RAW:
            data = zstandard.ZstdCompressionDict(dictionary)
            self._compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=data)

    def pack(self, body: bytes) -> bytes:
        """The bytes to store."""
        return body if self.codec == RAW else self._compressor.compress(body)


class Unpacking:
    """Bodies of any codec, by the dictionaries of the archive."""

    def __init__(self, dictionaries: Mapping[int, bytes]) -> None:
        self._decompressors = {
            codec: zstandard.ZstdDecompressor(dict_data=zstandard.ZstdCompressionDict(data))
            for codec, data in dictionaries.items()
        }

    def knows(self, codec: int) -> bool:
        """Whether bodies of this codec can be unpacked."""
        return codec == RAW or codec in self._decompressors

    def unpack(self, codec: int, body: bytes) -> bytes:
        """The bytes that were published.

        Raises:
            DamagedError: these cannot be.
        """
        if codec == RAW:
            return body
        if (decompressor := self._decompressors.get(codec)) is None:
            raise DamagedError(f"expected the dictionary {codec}, found none in the archive")
        try:
            return decompressor.decompress(body, max_output_size=BODY_BYTES_MAX)
        except zstandard.ZstdError as error:
            raise DamagedError(f"expected a body packed with the dictionary {codec}, found: {error}") from None


def train(samples: Sequence[bytes]) -> bytes:
    """A dictionary for messages like these; takes some tenths of a second.

    Raises:
        ValueError: they are too few, or too short.
    """
    try:
        return zstandard.train_dictionary(DICTIONARY_BYTES, list(samples)).as_bytes()
    except zstandard.ZstdError as error:
        raise ValueError(f"expected messages that have something in common, found: {error}") from None
