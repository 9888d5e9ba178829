"""Raw answers of a Redis server → the sample's Structs. Arguments of commands are dropped here."""

from collections.abc import Mapping
from typing import Any, Final

from kgents_collector_db.mapping.redis.info import Info
from kgents_collector_db.mapping.redis.sample import ClusterNode, Histogram, SlowCommand, Spike
from kgents_shared.contract.address import join, split_port

NODES_MAX: Final = 1000
"""Most cluster nodes that are read: the recommended maximum of Redis Cluster."""


def info(answer: Any) -> Info:
    """INFO and CLUSTER INFO."""
    return Info.parse(_text(answer))


def slow_commands(answer: Any) -> tuple[SlowCommand, ...]:
    """SLOWLOG GET: id, time, µs, arguments, client; only the numbers are kept."""
    return tuple(SlowCommand(int(entry[0]), int(entry[2]) / 1e6) for entry in answer)


def histograms(answer: Any) -> dict[str, Histogram]:
    """LATENCY HISTOGRAM: cumulative counts by upper bound → calls in each bucket."""
    return {_text(command): _histogram(_pairs(fields)) for command, fields in _pairs(answer).items()}


def spikes(answer: Any) -> tuple[Spike, ...]:
    """LATENCY LATEST: event, time, latest ms, worst ms ever."""
    return tuple(Spike(_text(entry[0]), int(entry[1]), int(entry[2]) / 1e3) for entry in answer)


def nodes(answer: Any) -> tuple[ClusterNode, ...]:
    """CLUSTER NODES: `id host:port@bus,hostname flags master sent received epoch link slot…`, sorted."""
    lines = (line.split() for line in _text(answer).splitlines()[:NODES_MAX])
    return tuple(sorted(_node(words) for words in lines if len(words) >= 8))


def _node(words: list[str]) -> ClusterNode:
    place, _, hostname = words[1].partition(",")
    host, port = split_port(place.partition("@")[0])
    host = hostname.partition(",")[0] or host
    return ClusterNode(
        id=words[0],
        address=join(host, port) if host and port is not None else "",
        flags=tuple(words[2].split(",")),
        master_id="" if words[3] == "-" else words[3],
        slots=sum(_slots(word) for word in words[8:]),
    )


def _slots(word: str) -> int:
    first, dash, last = word.partition("-")
    if word.startswith("["):  # on its way from or to another node: still counted by its range
        return 0
    return int(last) - int(first) + 1 if dash else 1


def _histogram(fields: Mapping[Any, Any]) -> Histogram:
    buckets = next((_pairs(value) for name, value in fields.items() if _text(name) == "histogram_usec"), {})
    counts: dict[int, int] = {}
    below = 0
    for upper, cumulative in sorted(buckets.items()):
        counts[int(upper)] = int(cumulative) - below
        below = int(cumulative)
    return counts


def _pairs(answer: Any) -> dict[Any, Any]:
    """A map, which the older protocol sends as a flat list."""
    return dict(answer) if isinstance(answer, Mapping) else dict(zip(answer[::2], answer[1::2], strict=True))


def _text(answer: Any) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
