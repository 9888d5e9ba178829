"""What traffic pulses measure of applications and of their calls: their fields, as checks name them."""

from typing import Final

from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures.figure import Field

_FIELD: Final = Field("otel")

_inbound = _FIELD.section("inbound", kinds.APP).figure
INBOUND_REQUESTS: Final = _inbound("n", "{request}", "Requests that it served.")
INBOUND_SPANS: Final = _inbound("spans", "{span}", "Spans that were counted: of few a rate is not sure.")
INBOUND_ERRORS: Final = _inbound("errors", "{request}", "Of the requests, those that it answered with an error.")
INBOUND_LATENCY_MS: Final = _inbound("latency_ms", "ms", "Durations of the requests, as a histogram.")

_edge = _FIELD.section("edges", kinds.APP).figure
EDGE_REQUESTS: Final = _edge("n", "{request}", "Requests of a connection.")
EDGE_SPANS: Final = _edge("spans", "{span}", "Spans that were counted: of few a rate is not sure.")
EDGE_ERRORS_CLIENT: Final = _edge("errors_client", "{request}", "Of the requests, those that failed for their client.")
EDGE_ERRORS_SERVER: Final = _edge("errors_server", "{request}", "Of these, those that the peer answered with an error.")
EDGE_PAIRED_SHARE: Final = _edge("paired_share", "1", "Share of the calls of which the peer's side is known, too.")
EDGE_CLIENT_MS: Final = _edge("client_ms", "ms", "Durations at the client, as a histogram.")
EDGE_SERVER_MS: Final = _edge("server_ms", "ms", "Durations at the peer, as a histogram.")
EDGE_GAP_MS: Final = _edge(
    "gap_ms", "ms", "Duration at the client less that at the peer, call by call, as a histogram."
)

FIGURES: Final = tuple(_FIELD.figures)
