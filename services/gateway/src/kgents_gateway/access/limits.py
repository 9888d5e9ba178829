"""Requests of one identity → whether it may make another one now: a token bucket for each. Pure."""

import math
from collections import OrderedDict
from typing import Final

import msgspec

IDENTITIES: Final = 10_000
"""Buckets that are kept; beyond that the one that was used least lately is forgotten, and so is full again."""


class _Bucket(msgspec.Struct, gc=False):
    left: float
    at_s: float


class Buckets:
    """The requests of every identity: `burst` at once, and `per_s` in the long run."""

    def __init__(self, *, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = burst
        self._by_identity: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_identity)

    def take(self, identity: str, now_s: float) -> int:
        """Take one request; returns 0, or in how many seconds to try again."""
        bucket = self._by_identity.get(identity)
        if bucket is None:
            bucket = self._by_identity[identity] = _Bucket(self._burst, now_s)
            if len(self._by_identity) > IDENTITIES:
                self._by_identity.popitem(last=False)
        else:
            self._by_identity.move_to_end(identity)
        bucket.left = min(self._burst, bucket.left + (now_s - bucket.at_s) * self._per_s)
        bucket.at_s = now_s
        if bucket.left < 1:
            return math.ceil((1 - bucket.left) / self._per_s)
        bucket.left -= 1
        return 0
