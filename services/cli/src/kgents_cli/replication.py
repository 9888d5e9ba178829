"""Where a cluster of servers keeps the streams → what is wrong with that, as sentences."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from kgents_shared.bus.jetstream import Placement, Replica

MISSING_AFTER_S: Final = 10.0
"""Servers of a cluster hear from each other every second; without a majority for so long, JetStream gives up too."""
LAG_MAX: Final = 1_000
"""Messages: a replica that is busy is some behind."""


def faults(placements: Mapping[str, Placement]) -> Iterator[str]:
    """Streams that cannot be written, servers that are missing, and replicas that lag behind; of a cluster alone."""
    leaderless: dict[tuple[int, tuple[str, ...]], list[str]] = defaultdict(list)
    missing: dict[str, tuple[float, list[str]]] = {}
    for stream, placement in placements.items():
        away = [each for each in placement.replicas if is_missing(each)]
        if not placement.leader:
            names = tuple(sorted(each.name for each in placement.replicas if not each.current))
            leaderless[len(placement.replicas), names].append(stream)
            continue
        for each in away:
            since_s, streams = missing.get(each.name, (0.0, []))
            missing[each.name] = max(since_s, each.seen_s), [*streams, stream]
        for each in placement.replicas:
            if each not in away and each.lag > LAG_MAX:
                yield f"stream {stream}: the replica on server {each.name} is {each.lag} messages behind"
    for (size, names), streams in leaderless.items():
        yield _no_leader(streams, size, names)
    for name, (since_s, streams) in sorted(missing.items()):
        seen = f"not heard from for {since_s:.0f} s" if since_s else "offline"
        yield f"server {name} is missing: {seen}; it holds a replica of {_named(streams)}; try: start it"


def is_missing(replica: Replica) -> bool:
    """Whether the leader has not heard from the server of this replica."""
    return replica.offline or replica.seen_s > MISSING_AFTER_S


def _no_leader(streams: list[str], size: int, missing: tuple[str, ...]) -> str:
    verb = "has" if len(streams) == 1 else "have"
    found = f"missing: {', '.join(missing)}" if missing else "one is being elected"
    return (
        f"{_named(streams)} {verb} no leader and cannot be written: expected {size // 2 + 1} of {size} servers, "
        f"found {size - len(missing)} ({found}); try: start them"
    )


def _named(streams: list[str]) -> str:
    if len(streams) == 1:
        return f"stream {streams[0]}"
    return f"{len(streams)} streams ({streams[0]}, …)"
