"""Streams and consumers of all servers, each once: Sample → `streams`, `consumers` → stream.py, consumer.py.

Each server with a copy reports a replicated asset. The leader's copy is authoritative: followers lag, and have none of
a consumer's figures.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Generic, TypeVar

from msgspec import Struct

from kgents_collector_nats.mapping.rate import elapsed_s
from kgents_collector_nats.sample import ConsumerDetail, Sample, Server, StreamDetail

D = TypeVar("D", StreamDetail, ConsumerDetail)
Key = tuple[str, str, str]
"""Account, stream, consumer (empty for a stream)."""


class Asset(Struct, Generic[D], frozen=True):
    """A stream or consumer, from its best copy."""

    account: str
    detail: D
    server: str
    """The server of this copy."""
    now: datetime
    """That server's clock."""
    leader: str
    """The leading server; empty when there is none."""
    is_measured: bool
    """Whether the figures are the leader's, and of this sample."""

    @property
    def uid(self) -> str:
        """The incarnation: an asset that is deleted and created again has another time of creation."""
        return f"{self.detail.created.isoformat()}/{self.detail.name}"

    def seconds_since(self, before: "Asset[D] | None") -> float | None:
        """The time span for rates; None when it was another incarnation, or another server's clock and counters."""
        if before is None or (before.uid, before.server) != (self.uid, self.server):
            return None
        return elapsed_s(before.now, self.now) if before.is_measured and self.is_measured else None


def streams(sample: Sample | None) -> dict[Key, Asset[StreamDetail]]:
    """Every stream, in the order of their names."""
    return _best((account, stream.name, "", stream, server) for server, account, stream in _stream_copies(sample))


def consumers(sample: Sample | None) -> dict[Key, Asset[ConsumerDetail]]:
    """Every consumer, in the order of their names."""
    return _best(
        (account, stream.name, consumer.name, consumer, server)
        for server, account, stream in _stream_copies(sample)
        for consumer in stream.consumer_detail
    )


def _stream_copies(sample: Sample | None) -> Iterator[tuple[Server, str, StreamDetail]]:
    for server in sample.named if sample is not None else ():
        for account in server.jsz.account_details if server.jsz is not None else ():
            for stream in account.stream_detail:
                yield server, account.name, stream


def _best(copies: Iterable[tuple[str, str, str, D, Server]]) -> dict[Key, Asset[D]]:
    by_key: defaultdict[Key, list[Asset[D]]] = defaultdict(list)
    for account, stream, consumer, detail, server in copies:
        by_key[account, stream, consumer].append(_asset(account, detail, server))
    return {key: _choose(by_key[key]) for key in sorted(by_key)}


def _asset(account: str, detail: D, server: Server) -> Asset[D]:
    leader = detail.cluster.leader if detail.cluster is not None else server.name
    now = server.jsz.now if server.jsz is not None else detail.created
    is_measured = leader == server.name and "jsz" not in server.stale
    return Asset(account, detail, server.name, now, leader, is_measured)


def _choose(copies: list[Asset[D]]) -> Asset[D]:
    # A remembered copy may still claim to lead what another server leads by now, so measured ones come first.
    return min(
        copies, key=lambda copy: (not copy.is_measured, not copy.leader, copy.leader != copy.server, copy.server)
    )
