"""The traffic pulses of one application → samples of a minute, which have enough calls to be judged. Pure."""

from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from kgents_health_scorer.debounce import LONG_AGO
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import EdgeSample, Inbound, TrafficPulse
from kgents_shared.contract.sketch import merged

SAMPLE_S: Final = 60.0
"""How long a sample of traffic is: shorter ones of the usual traffic have too few calls."""
ENOUGH: Final = 0.95
"""Of that: the clock of a source is not exact."""
MISSED: Final = 3.5
"""Intervals without a pulse: what came before is no part of the same minute."""


class Minute:
    """What came since the last sample."""

    __slots__ = ("_begin", "_end", "_pulses")

    def __init__(self) -> None:
        self._pulses: list[TrafficPulse] = []
        self._begin = LONG_AGO
        self._end = LONG_AGO

    def add(self, pulse: TrafficPulse, sample_s: float) -> TrafficPulse | None:
        """Add a pulse; returns the sample that it completes."""
        interval = timedelta(seconds=pulse.interval_s)
        if not self._pulses or pulse.timestamp - self._end > MISSED * interval:
            self._pulses, self._begin = [], pulse.timestamp - interval
        self._pulses.append(pulse)
        self._end = pulse.timestamp
        if (self._end - self._begin).total_seconds() < ENOUGH * sample_s:
            return None
        pulses, self._pulses = self._pulses, []
        return _sum(pulses, self._begin, self._end) if len(pulses) > 1 else pulse


def _sum(pulses: list[TrafficPulse], begin: datetime, end: datetime) -> TrafficPulse:
    edges: dict[tuple[str, Ref | str], list[EdgeSample]] = {}
    for pulse in pulses:
        for each in pulse.edges:
            edges.setdefault((each.kind, each.peer), []).append(each)
    served = [each.inbound for each in pulses if each.inbound is not None]
    return structs.replace(
        pulses[-1],
        interval_s=(end - begin).total_seconds(),
        inbound=_inbound(served) if served else None,
        edges=[_edge(each) for each in edges.values()],
        unread=sorted({name for each in pulses for name in each.unread}),
    )


def _inbound(served: list[Inbound]) -> Inbound:
    return Inbound(
        n=sum(each.n for each in served),
        spans=sum(each.spans for each in served),
        errors=sum(each.errors for each in served),
        latency_ms=merged(each.latency_ms for each in served),
    )


def _edge(samples: list[EdgeSample]) -> EdgeSample:
    spans = sum(each.spans for each in samples)
    paired = sum((each.paired_share or 0.0) * each.spans for each in samples)
    is_paired = any(each.paired_share is not None for each in samples)
    return EdgeSample(
        peer=samples[-1].peer,
        kind=samples[-1].kind,
        n=sum(each.n for each in samples),
        spans=spans,
        errors_client=sum(each.errors_client for each in samples),
        errors_server=sum(each.errors_server for each in samples),
        paired_share=min(paired / spans, 1.0) if is_paired and spans else None,
        weight=samples[-1].weight,
        client_ms=merged(each.client_ms for each in samples),
        server_ms=merged(each.server_ms for each in samples),
        gap_ms=merged(each.gap_ms for each in samples),
    )
