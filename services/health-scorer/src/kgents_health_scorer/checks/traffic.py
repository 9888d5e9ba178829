"""KG-4xx, the requests of applications: traffic pulse → errors, latency, time on the way, calls for each request.

What an application answers is judged as its own; what it calls, connection by connection, as a finding of the caller
that names the connection. Each is judged by as many calls as separate a blip from a fault. Part of the catalogue.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from msgspec import structs

from kgents_health_scorer.checks.check import SPREAD, Check, Sample, SeriesCheck, Thresholds, Usual
from kgents_shared.contract.entity import STAND_INS
from kgents_shared.contract.health import Edge
from kgents_shared.contract.pulse import EdgeSample, Pulse, TrafficPulse
from kgents_shared.contract.sketch import Histogram
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures import traffic

APPS: Final = frozenset({kinds.APP})
LATENCY_CALLS: Final = 5
"""The median of fewer says nothing."""
ERROR_CALLS: Final = 8
ERRORS: Final = 3
"""Fewer errors in one sample are no rate; how many are one in the last three: `series.POOLED_ERRORS`."""
REQUESTS: Final = 10
MISSING_LEAST: Final = 0.25
"""Calls for each request: what is called more rarely is not missed."""
RELEASED_S: Final = 3600.0
"""What is called for a request depends on the program more than on its state: a release changes it for good."""
PAIRED_LEAST: Final = 0.5
"""From this share of calls on the peer's side is known."""
NEGATIVE_MOST: Final = 0.05
"""Of gaps: beyond, its clients give up before their peer has answered, or stream, and the gap means nothing."""


Read = Callable[[TrafficPulse, EdgeSample], float | Histogram | None]
"""A figure of a connection, or what it is the median of."""

Failed = Callable[[EdgeSample], tuple[float, float] | None]


def _rates(failed: Failed) -> Callable[[Pulse], Iterable[Sample]]:
    """A rate of errors of each connection; nothing where it is of too few calls, or does not apply."""

    def samples(pulse: Pulse) -> Iterator[Sample]:
        if not isinstance(pulse, TrafficPulse):
            return
        for each in pulse.edges:
            if each.peer not in STAND_INS and each.spans >= ERROR_CALLS and (found := failed(each)) is not None:
                yield Sample(_rate(*found), Edge(each.kind, each.peer), each.spans, failed=found)

    return samples


def _edges(
    read: Read, least_apart: Callable[[EdgeSample], float] = lambda _: 0.0
) -> Callable[[Pulse], Iterable[Sample]]:
    """A figure of each connection; None where it is of too few calls, or does not apply."""

    def samples(pulse: Pulse) -> Iterator[Sample]:
        if not isinstance(pulse, TrafficPulse):
            return
        for each in pulse.edges:
            if each.peer not in STAND_INS and (found := read(pulse, each)) is not None:
                value, of = (_median(found), found) if isinstance(found, Histogram) else (found, None)
                yield Sample(value, Edge(each.kind, each.peer), each.spans, least_apart(each), of)

    return samples


def _inbound_errors(pulse: Pulse) -> Iterator[Sample]:
    served = pulse.inbound if isinstance(pulse, TrafficPulse) else None
    if served is not None and served.spans >= ERROR_CALLS:
        yield Sample(_rate(served.errors, served.n), calls=served.spans, failed=(served.errors, served.n))


def _inbound_latency(pulse: Pulse) -> Iterator[Sample]:
    served = pulse.inbound if isinstance(pulse, TrafficPulse) else None
    if served is not None and (latency := _enough(served.latency_ms)) is not None:
        yield Sample(_median(latency), calls=served.spans, median_of=latency)


def _rate(errors: float, n: float) -> float:
    return min(errors / n, 1.0) if errors >= ERRORS and n > 0 else 0.0


def _enough(histogram: Histogram | None) -> Histogram | None:
    return histogram if histogram is not None and histogram.n >= LATENCY_CALLS else None


def _median(histogram: Histogram) -> float:
    return histogram.quantile(0.5) or 0.0


def _is_paired(edge: EdgeSample) -> bool:
    return edge.paired_share is not None and edge.paired_share >= PAIRED_LEAST


def _gap(_: TrafficPulse, edge: EdgeSample) -> Histogram | None:
    gaps = _enough(edge.gap_ms)
    return gaps if gaps is not None and gaps.negative <= NEGATIVE_MOST * gaps.n else None


def _half_of_the_answer(edge: EdgeSample) -> float:
    """A call that takes 300 ms to be answered is not slow for 50 ms on its way."""
    answered = _enough(edge.server_ms)
    return _median(answered) / 2 if answered is not None else 0.0


def _client_latency(_: TrafficPulse, edge: EdgeSample) -> Histogram | None:
    return None if _is_paired(edge) else _enough(edge.client_ms)


def _lost(edge: EdgeSample) -> tuple[float, float] | None:
    return (max(edge.errors_client - edge.errors_server, 0.0), edge.n) if _is_paired(edge) else None


def _failed(edge: EdgeSample) -> tuple[float, float]:
    """A peer that answers ends what was found while it did not."""
    return (0.0 if _is_paired(edge) else edge.errors_client), edge.n


def _calls_per_request(pulse: TrafficPulse, edge: EdgeSample) -> float | None:
    served = pulse.inbound
    if served is None or served.spans < REQUESTS or edge.spans < REQUESTS or served.n <= 0:
        return None
    return edge.n / served.n


def _fewer_calls(pulse: TrafficPulse, edge: EdgeSample) -> float | None:
    served = pulse.inbound
    return edge.n / served.n if served is not None and served.spans >= REQUESTS and served.n > 0 else None


def _missing(pulse: TrafficPulse) -> float:
    """How many calls for each request must be missing: so many that they are REQUESTS, and not by chance."""
    return max(MISSING_LEAST, REQUESTS / pulse.inbound.n) if pulse.inbound is not None and pulse.inbound.n else 0.0


def _fewer_on_edges(pulse: Pulse) -> Iterator[Sample]:
    if isinstance(pulse, TrafficPulse):
        for each in _edges(_fewer_calls)(pulse):
            yield structs.replace(each, least_apart=_missing(pulse))


def _uncalled(pulse: Pulse) -> Sample | None:
    served = pulse.inbound if isinstance(pulse, TrafficPulse) else None
    if not isinstance(pulse, TrafficPulse) or served is None or served.spans < REQUESTS or pulse.hidden_edges:
        return None
    return Sample(0.0, calls=0, least_apart=_missing(pulse))


_ERRORS: Final = (
    "Ours: 5 % is fifty times the budget of a 99.9 % objective, and of few calls still three errors, or five in three "
    "minutes that each have some; 25 % is "
)
_ERRORS_MORE: Final = (
    "an outage for a part of its users. One sample of 30 calls or more with half of them failed is enough."
)
_SURELY: Final = "Of few calls what their median is at least decides, in 95 of 100 samples."
_UNUSUAL: Final = "Ours: four spreads, so at least 4.1 times the usual"

CHECKS: Final[tuple[Check, ...]] = (
    SeriesCheck(
        id="KG-401",
        name="requests answered with errors",
        applies_to=APPS,
        figure=traffic.INBOUND_ERRORS,
        pulse=TrafficPulse,
        of_calls=True,
        samples=_inbound_errors,
        measure="1",
        thresholds=Thresholds(warn=0.05, crit=0.25, fatal=0.9),
        at_once=0.5,
        unit="1",
        text="{entity} answers {value} of {calls} with an error (threshold {threshold}).",
        why="Its callers see errors. The fault is in it or in what it calls: check its own connections first.",
        source=_ERRORS + _ERRORS_MORE,
    ),
    SeriesCheck(
        id="KG-402",
        name="answers slower than usual",
        applies_to=APPS,
        figure=traffic.INBOUND_LATENCY_MS,
        pulse=TrafficPulse,
        of_calls=True,
        samples=_inbound_latency,
        measure="ms",
        usual=Usual(resolution=1.0, least_apart=25.0),
        thresholds=Thresholds(warn=3.25),
        at_once=8.0,
        unit=SPREAD,
        text="{entity} answers in {value}, usually in {usual} ({calls}).",
        why="It is slow itself (starved of CPU, a lock, a pool), or what it calls is: then that has a finding, too.",
        source="Ours: three and a quarter spreads, so at least 3.1 times the usual, and 25 ms more. The median, so "
        f"that half of its requests are slower. {_SURELY}",
    ),
    SeriesCheck(
        id="KG-411",
        name="calls slow on the way",
        applies_to=APPS,
        figure=traffic.EDGE_GAP_MS,
        pulse=TrafficPulse,
        of_calls=True,
        samples=_edges(_gap, _half_of_the_answer),
        measure="ms",
        usual=Usual(resolution=1.0, least_apart=10.0),
        thresholds=Thresholds(warn=4.5),
        at_once=8.0,
        unit=SPREAD,
        text="calls {entity} → {peer} spend {value} on the way, usually {usual} ({calls}).",
        why="Neither side is slow: the network is, a proxy, or a queue before the peer's program. Slow calls from "
        "several callers point to the peer's end, slow calls to several peers to the caller's.",
        source="Ours: four and a half spreads, so at least 4.8 times the usual, and 10 ms and half of the time that "
        f"the peer takes more. Client less server, call by call, so no clock matters. {_SURELY}",
    ),
    SeriesCheck(
        id="KG-412",
        name="calls answered slower than usual",
        applies_to=APPS,
        figure=traffic.EDGE_CLIENT_MS,
        pulse=TrafficPulse,
        of_calls=True,
        samples=_edges(_client_latency),
        measure="ms",
        usual=Usual(resolution=1.0, least_apart=10.0),
        thresholds=Thresholds(warn=4.0),
        at_once=8.0,
        unit=SPREAD,
        text="calls {entity} → {peer} take {value}, usually {usual} ({calls}).",
        why="The peer sends no spans, so it is slow or the way to it is. Check the peer's own health and figures.",
        source=f"{_UNUSUAL}, and 10 ms more, as the caller measures it. {_SURELY}",
    ),
    SeriesCheck(
        id="KG-413",
        name="calls lost on the way",
        applies_to=APPS,
        figure=traffic.EDGE_ERRORS_CLIENT,
        pulse=TrafficPulse,
        of_calls=True,
        samples=_rates(_lost),
        measure="1",
        thresholds=Thresholds(warn=0.05, crit=0.25, fatal=0.9),
        at_once=0.5,
        unit="1",
        text="{value} of calls {entity} → {peer} fail though the peer answers ({calls}).",
        why="The caller sees more errors than the peer makes: time-outs, refused or broken connections. The network, a "
        "proxy, or a time limit of the caller that is too short.",
        source=_ERRORS + _ERRORS_MORE,
    ),
    SeriesCheck(
        id="KG-414",
        name="calls fail",
        applies_to=APPS,
        figure=traffic.EDGE_ERRORS_CLIENT,
        pulse=TrafficPulse,
        of_calls=True,
        samples=_rates(_failed),
        measure="1",
        thresholds=Thresholds(warn=0.05, crit=0.25, fatal=0.9),
        at_once=0.5,
        unit="1",
        text="{value} of calls {entity} → {peer} fail ({calls}).",
        why="The peer sends no spans, or none any more: it is down, refuses, or cannot be reached. Check it first.",
        source=_ERRORS + _ERRORS_MORE,
    ),
    SeriesCheck(
        id="KG-415",
        name="more calls for each request",
        applies_to=APPS,
        figure=traffic.EDGE_REQUESTS,
        pulse=TrafficPulse,
        of_calls=True,
        samples=_edges(_calls_per_request),
        measure="{call}",
        usual=Usual(resolution=0.05, least_apart=0.5, adopted_s=RELEASED_S),
        thresholds=Thresholds(warn=4.0),
        at_once=8.0,
        unit=SPREAD,
        text="{entity} → {peer}: {value} for each request, usually {usual} ({calls}).",
        why="Retries, a cache that does not hold any more, or a loop over calls (N+1). The peer gets that much more "
        "work for the same requests. A release that calls more is a reason, too: then it ends after an hour.",
        source=f"{_UNUSUAL}, and half a call more.",
    ),
    SeriesCheck(
        id="KG-416",
        name="fewer calls for each request",
        applies_to=APPS,
        figure=traffic.EDGE_REQUESTS,
        pulse=TrafficPulse,
        of_calls=True,
        samples=_fewer_on_edges,
        uncalled=_uncalled,
        measure="{call}",
        usual=Usual(resolution=0.05, way="below", adopted_s=RELEASED_S),
        thresholds=Thresholds(warn=4.0),
        unit=SPREAD,
        text="{entity} → {peer}: {value} for each request, usually {usual} ({calls}).",
        why="It answers without a part of its work: it fails early, takes a wrong turn, or holds the peer to be "
        "away. A release that calls less is a reason, too: then it ends after an hour, and ten minutes after the last "
        "call if there are none any more.",
        source="Ours: four spreads, so at most a quarter of the usual, and ten calls fewer than usual in a minute.",
    ),
)
