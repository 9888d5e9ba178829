"""The fragments of one resource's objects, compressed: 100,000 pods fit into the memory of a small container. Pure."""

from collections.abc import Collection

import msgspec

from kgents_collector_k8s.mapping.fragment import Fragment
from kgents_shared.bus.compression import Compression

Key = tuple[str, str]
"""Namespace and name."""


class Shelf:
    """The fragments of one resource's objects, compressed."""

    def __init__(self) -> None:
        encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Fragment)
        self._compression: Compression[Fragment] = Compression(encoder.encode, decoder.decode)
        self._compressed: dict[Key, bytes] = {}
        self._last: tuple[Key, Fragment] | None = None  # a fragment is often read twice in a row

    def keys(self) -> Collection[Key]:
        """The objects that are here."""
        return self._compressed.keys()

    def get(self, key: Key) -> Fragment | None:
        """The fragment of an object; None: it is not here."""
        if self._last is not None and self._last[0] == key:
            return self._last[1]
        compressed = self._compressed.get(key)
        if compressed is None:
            return None
        fragment = self._compression.decompress(compressed)
        self._last = key, fragment
        return fragment

    def put(self, key: Key, fragment: Fragment) -> None:
        """Add an object, or replace it."""
        self._compressed[key] = self._compression.compress(fragment)
        self._last = key, fragment

    def drop(self, key: Key) -> None:
        """Remove an object that is here."""
        del self._compressed[key]
        self._last = None
