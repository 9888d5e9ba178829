"""Two readings of `/metrics` → request counts and durations in between. Pure."""

from typing import Final

from msgspec import Struct

from kgents_collector_db.mapping.qdrant.exposition import Line, buckets, growth, percentile, value
from kgents_collector_db.mapping.qdrant.sample import QdrantSample

_SEARCHES: Final = ("search", "query", "recommend", "discover")
"""How the last part of an endpoint begins, over REST (`…/points/query/batch`) and gRPC (`/qdrant.Points/Query`)."""
_DURATIONS: Final = ("rest_responses_duration_seconds", "grpc_responses_duration_seconds")


class Requests(Struct, frozen=True):
    """Requests between two readings; None: not reported by this server."""

    seconds: float
    count: float
    queries: float
    failures: float
    mean_s: float | None
    p50_s: float | None
    p99_s: float | None


def between(sample: QdrantSample) -> Requests | None:
    """The requests between the last two readings; None without two readings of one start."""
    before, now = sample.metrics_before, sample.metrics
    if before is None or now is None or now.at_s <= before.at_s:
        return None
    rest = growth(before.lines, now.lines, "rest_responses_total")
    grpc = growth(before.lines, now.lines, "grpc_responses_total")
    searches = [growth(before.lines, now.lines, f"{api}_responses_total", is_search) for api in ("rest", "grpc")]
    failed = growth(before.lines, now.lines, "rest_responses_total", _is_failure)
    failed_grpc = growth(before.lines, now.lines, "grpc_responses_fail_total")
    if rest is None or grpc is None or failed is None or failed_grpc is None or None in searches:
        return None
    total = _total("_count", before.lines, now.lines)
    old, new = (_buckets(lines) for lines in (before.lines, now.lines))
    took_s = _total("_sum", before.lines, now.lines)
    return Requests(
        seconds=now.at_s - before.at_s,
        count=sum(rest.values()) + sum(grpc.values()),
        queries=sum(sum(each.values()) for each in searches if each is not None),
        failures=sum(failed.values()) + sum(failed_grpc.values()),
        mean_s=took_s / total if took_s is not None and total else None,
        p50_s=percentile(old, new, total or 0.0, 0.5),
        p99_s=percentile(old, new, total or 0.0, 0.99),
    )


def is_search(line: Line) -> bool:
    """Whether the endpoint searches points by vectors."""
    parts = line.labels.get("endpoint", "").lower().rstrip("/").split("/")
    return any(part.startswith(_SEARCHES) for part in parts[-2:])


def answered(sample: QdrantSample) -> int | None:
    """Requests since the start."""
    if sample.metrics is None:
        return None
    counts = [value(sample.metrics.lines, f"{api}_responses_total") for api in ("rest", "grpc")]
    return int(sum(count or 0.0 for count in counts))


def _is_failure(line: Line) -> bool:
    """Whether the server failed: a 4xx is an error of the client."""
    return line.labels.get("status", "").startswith("5")


def _total(what: str, before: tuple[Line, ...], now: tuple[Line, ...]) -> float | None:
    """Growth of the histograms' counts or sums; None before Qdrant 1.8, which has only averages since the start."""
    grown = [growth(before, now, name + what) for name in _DURATIONS]
    if None in grown or not any(grown):
        return None
    return sum(sum(each.values()) for each in grown if each is not None)


def _buckets(lines: tuple[Line, ...]) -> dict[float, float]:
    rest, grpc = (buckets(lines, name) for name in _DURATIONS)
    return {upper: rest.get(upper, 0.0) + grpc.get(upper, 0.0) for upper in rest.keys() | grpc.keys()}
