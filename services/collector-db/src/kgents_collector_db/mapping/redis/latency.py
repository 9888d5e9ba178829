"""Two readings of LATENCY HISTOGRAM → percentiles of the durations in between. Pure."""

from collections import Counter
from collections.abc import Mapping

from kgents_collector_db.mapping.redis.delta import is_application
from kgents_collector_db.mapping.redis.sample import Histogram


def percentiles_s(
    before: Mapping[str, Histogram] | None, now: Mapping[str, Histogram] | None, *ranks: float
) -> list[float | None]:
    """The duration of application commands in seconds, at each rank (0.99).

    The server's buckets double, so a figure is accurate to a factor of two; it is interpolated within a bucket, as in
    Prometheus. None without two readings, without commands, or when the server reset its statistics.
    """
    counts = _between(before, now)
    return [_percentile_s(counts, rank) for rank in ranks]


def _between(before: Mapping[str, Histogram] | None, now: Mapping[str, Histogram] | None) -> Counter[int]:
    if before is None or now is None:
        return Counter()
    counts = _sum(now)
    counts.subtract(_sum(before))
    return counts if all(count >= 0 for count in counts.values()) else Counter()


def _sum(histograms: Mapping[str, Histogram]) -> Counter[int]:
    counts: Counter[int] = Counter()
    for command, histogram in histograms.items():
        if is_application(command):
            counts.update(histogram)
    return counts


def _percentile_s(counts: Counter[int], rank: float) -> float | None:
    total = counts.total()
    if not total:
        return None
    seen = 0.0
    for upper_us, count in sorted(counts.items()):
        if count and seen + count >= rank * total:
            lower_us = upper_us / 2 if upper_us > 1 else 0.0
            return (lower_us + (upper_us - lower_us) * (rank * total - seen) / count) / 1e6
        seen += count
    return max(counts) / 1e6
