"""What a receiver answers to a request that was taken: one message for all signals, whose fields are alike."""

import msgspec

from kgents_collector_otel.mapping.wire import answer
from kgents_collector_otel.source.admission import LOGS, METRICS, TRACES, Outcome

_REJECTED = {TRACES: "rejectedSpans", METRICS: "rejectedDataPoints", LOGS: "rejectedLogRecords"}


class PortError(Exception):
    """A port cannot be opened."""


def protobuf(outcome: Outcome) -> bytes:
    """The answer; its `partial_success` is only set when some of the request was rejected."""
    return answer(outcome.rejected, outcome.message) if outcome.rejected else b""


def json(signal: str, outcome: Outcome) -> bytes:
    """The same in OTLP/JSON."""
    if not outcome.rejected:
        return b"{}"
    partial = {_REJECTED[signal]: str(outcome.rejected), "errorMessage": outcome.message}
    return msgspec.json.encode({"partialSuccess": partial})
