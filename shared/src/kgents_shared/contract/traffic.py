"""The requests of one application to one peer → sums that add up over any time, and their names in the archive. Pure.

A sample has a histogram of durations. What is kept of it are the requests within some bounds, so that hours of samples
are a sum, as all figures are; an objective with another bound is not known of before the stream.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import EdgeSample, TrafficPulse
from kgents_shared.contract.subjects import ROOT

SIGNAL: Final = "traffic"
"""In place of `pulse` in names of the archive, `kgents.traffic.<cluster>.<source>.<kind>.<namespace>.<name>.<peer>`;
no stream has such subjects."""
PEER_MAX: Final = 1_000
"""Characters of the name of a peer, as it is written there; a longer one is cut."""
BOUNDS_MS: Final = (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)
"""Durations of which it is kept how many requests took no longer."""

REQUESTS: Final = "requests"
FAILED: Final = "requests_failed"
TIMED: Final = "requests_timed"
"""Those whose duration is known: a stream has none, nor a call without its end."""


def within(bound_ms: float) -> str:
    """The figure of the requests that took no longer."""
    return f"requests_within_{bound_ms:g}ms"


class Calls(msgspec.Struct, frozen=True):
    """Requests of one application to one peer, over some time."""

    requests: float = 0.0
    failed: float = 0.0
    timed: float = 0.0
    within: float | None = 0.0
    """Those that took no longer than was asked for; None: that was not kept."""


def calls(sample: EdgeSample, within_ms: float | None = None) -> Calls:
    """The requests of one sample."""
    failed = min(max(sample.errors_client, sample.errors_server), sample.n)
    durations = sample.client_ms or sample.server_ms
    if durations is None:
        return Calls(sample.n, failed)
    weight = sample.n / sample.spans if sample.spans else 1.0  # requests of a span: durations count spans
    try:
        fast = durations.within(within_ms) * weight if within_ms is not None else 0.0
        return Calls(sample.n, failed, durations.n * weight, fast)
    except OverflowError:  # a histogram that no one has measured
        return Calls(sample.n, failed)


def peer_of(sample: EdgeSample) -> str:
    """The peer's path, or its address."""
    return sample.peer.path if isinstance(sample.peer, Ref) else sample.peer


def figures_of(subject: str, pulse: TrafficPulse) -> Iterator[tuple[str, dict[str, float | None]]]:
    """For each peer the name in the archive, and the figures; `subject` is that of the pulse."""
    for each in pulse.edges:
        counted = calls(each)
        figures: dict[str, float | None] = {REQUESTS: counted.requests, FAILED: counted.failed, TIMED: counted.timed}
        if counted.timed:
            figures |= {within(bound): calls(each, bound).within for bound in BOUNDS_MS}
        yield subject_of(subject, peer_of(each)), figures


def subject_of(pulse_subject: str, peer: str) -> str:
    """The name in the archive of what an application calls at a peer."""
    _, _, rest = pulse_subject.split(".", 2)
    token = quote(peer, safe="").replace(".", "%2E")[:PEER_MAX]
    return f"{ROOT}.{SIGNAL}.{rest}.{token}"


def filter_of(pulse_filter: str) -> str:
    """The filter of what the applications call that a filter of pulses matches, at any peer."""
    _, _, rest = pulse_filter.split(".", 2)
    return f"{ROOT}.{SIGNAL}.{rest}.*"


def parts_of(subject: str) -> tuple[str, str]:
    """The subject of the pulses of an application, and the peer, of a name in the archive."""
    head, _, peer = subject.rpartition(".")
    _, _, rest = head.split(".", 2)
    return f"{ROOT}.pulse.{rest}", unquote(peer)
