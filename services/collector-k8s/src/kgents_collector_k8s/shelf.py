"""The fragments of one resource's objects: few as they are, very many compressed. Pure.

100,000 pods fit into the memory of a small container that way, and where there are few, time is worth more than memory.
"""

from collections.abc import Collection
from typing import Final

import msgspec

from kgents_collector_k8s.mapping.fragment import Fragment
from kgents_shared.bus.compression import Compression

Key = tuple[str, str]
"""Namespace and name."""

WHOLE_MAX: Final = 6_000
"""So many are kept as they are, some 30 MB of pods; once there are more, all of them are compressed."""


class Shelf:
    """The fragments of one resource's objects. What it returns is shared, so not to be changed."""

    def __init__(self) -> None:
        encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Fragment)
        self._compression: Compression[Fragment] = Compression(encoder.encode, decoder.decode, plain_bytes=0)
        self._kept: dict[Key, Fragment | bytes] = {}
        self._whole: list[Key] | None = None  # still to be compressed; None: there were never too many
        self._last: tuple[Key, Fragment] | None = None  # a fragment is often read twice in a row

    def keys(self) -> Collection[Key]:
        """The objects that are here."""
        return self._kept.keys()

    def get(self, key: Key) -> Fragment | None:
        """The fragment of an object; None: it is not here."""
        found = self._kept.get(key)
        if not isinstance(found, bytes):
            return found
        if self._last is not None and self._last[0] == key:
            return self._last[1]
        fragment = self._compression.decompress(found)
        self._last = key, fragment
        return fragment

    def put(self, key: Key, fragment: Fragment) -> None:
        """Add an object, or replace it."""
        if self._whole is None:
            self._kept[key] = fragment
            if len(self._kept) > WHOLE_MAX:
                self._whole = list(self._kept)
            return
        self._kept[key] = self._compression.compress(fragment)
        self._last = key, fragment
        for whole in self._whole[-2:]:  # not all at once, which would block the event loop
            found = self._kept.get(whole)
            if isinstance(found, Fragment):
                self._kept[whole] = self._compression.compress(found)
        del self._whole[-2:]

    def drop(self, key: Key) -> None:
        """Remove an object that is here."""
        del self._kept[key]
        self._last = None
