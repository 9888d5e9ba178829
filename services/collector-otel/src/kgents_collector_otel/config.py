"""The settings of this collector: read by `runtime.config` before source/ opens a port."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, field

from kgents_collector_otel.mapping.edge_rules import EDGE_RULES, decode
from kgents_shared.bus.config import Secret
from kgents_shared.contract.section import Fault, Section, unusable_url

GRPC_PORT: Final = 4317
HTTP_PORT: Final = 4318
HOST: Final = "127.0.0.1"

Port = Annotated[int, Meta(ge=1, le=65_535)]
Count = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0)]


class GrpcConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """OTLP over gRPC."""

    host: str = HOST
    """The address to listen at. This machine alone by default: what a sender says is believed."""

    port: Port = GRPC_PORT
    """The port of the specification."""


class HttpConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """OTLP over HTTP: protobuf and JSON."""

    host: str = HOST
    """The address to listen at. This machine alone by default: what a sender says is believed."""

    port: Port = HTTP_PORT
    """The port of the specification."""

    max_request_mib: Positive = 8.0
    """Of one request, decompressed: a larger one is refused (413). A batch of an SDK has 0.2 MiB."""


class TlsConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS of both receivers."""

    cert_file: str = ""
    """PEM file of our certificate and those that lead to its authority. Empty: no TLS."""

    key_file: str = ""
    """PEM file of the key of `cert_file`; the two are given together or not at all."""

    client_ca_file: str = ""
    """PEM file of the authorities of senders: then each one needs a certificate. Empty: none does."""

    def faults(self) -> Iterator[Fault]:
        if bool(self.cert_file) != bool(self.key_file):
            found = "cert_file alone" if self.cert_file else "key_file alone"
            yield Fault("key_file", "cert_file and key_file", found, "try: both, or neither", beside=("cert_file",))


class EdgesConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many edges are shown, and for how long."""

    per_app: Count = 200
    """Of one application; what it calls beyond is in one edge to the peer `other`."""

    total: Count = 20_000
    """Of all applications together."""

    idle_s: Positive = 600.0
    """Seconds without a call after which an edge is removed."""


class PrometheusConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is read of a Prometheus, at `prometheus_endpoint` or by remote write."""

    interval_s: Annotated[float, Meta(ge=1)] = 15.0
    """Seconds from one round of queries to the next. Most are scraped every 15 to 60; what was read before adds
    nothing."""

    timeout_s: Positive = 10.0
    """For one query."""

    token: Secret | None = None
    """A bearer token to query with."""

    rules: list[str] = field(default_factory=lambda: sorted(EDGE_RULES))
    """Which series are traffic between applications. One that a Prometheus does not have costs an empty answer."""

    files: list[str] = []
    """Files of rules of your own, in the form of `mapping/edge_rules/*.toml`."""

    def faults(self) -> Iterator[Fault]:
        for place, name in enumerate(self.rules):
            if name not in EDGE_RULES:
                known = ", ".join(sorted(EDGE_RULES))
                yield Fault(f"rules[{place}]", f"one of {known}", f'"{name}"', "try: a file of your own in `files`")

    def check(self) -> Iterator[Fault]:
        for place, path in enumerate(self.files):
            try:
                decode(Path(path).read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:  # ValueError: of the decoder, and of text that is not UTF-8
                advice = "try: the form of mapping/edge_rules/istio.toml"
                yield Fault(f"files[{place}]", "a file of rules", f"{path}: {error}", advice)


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to receive, from whom, and how much of it to show."""

    grpc: GrpcConfig | None = field(default_factory=GrpcConfig)
    """OTLP over gRPC. null: not received."""

    http: HttpConfig | None = field(default_factory=HttpConfig)
    """OTLP over HTTP. null: not received."""

    prometheus_endpoint: str = ""
    """A Prometheus, or what answers its queries, to ask for the traffic that a service mesh counts. Empty: none."""

    prometheus: PrometheusConfig = field(default_factory=PrometheusConfig)
    """What is read of it, and of what a Prometheus sends by remote write to the HTTP receiver."""

    tls: TlsConfig = field(default_factory=TlsConfig)
    """TLS of both receivers."""

    tokens_file: str = ""
    """A file with one bearer token a line, any of which a sender has to present; read again when it changes. Empty:
    every sender that reaches the port may send."""

    max_in_flight_mib: Positive = 64.0
    """Of requests that are received and not yet counted. Beyond, senders wait, for at most two seconds, and are then
    asked to repeat."""

    window_s: Annotated[float, Meta(ge=2, le=60)] = 10.0
    """Seconds of traffic in one pulse."""

    pair_wait_s: Positive = 20.0
    """Seconds for which a client's span waits for the server's, and the other way round: an SDK sends every five. A
    call to a peer that sends no spans is counted after it; a call to a database is counted at once."""

    max_waiting_spans: Count = 200_000
    """Spans that wait for their other side. Beyond, the oldest are counted without; 100,000 need 22 MB."""

    max_age_s: Positive = 120.0
    """A span that ended longer ago is counted as late and nowhere else: after an outage of a sender its backlog would
    be a peak that never was."""

    silent_after_s: Positive = 120.0
    """Seconds without a span after which an application's state is unknown."""

    idle_s: Positive = 3600.0
    """Seconds without a span after which an application is removed."""

    edges: EdgesConfig = field(default_factory=EdgesConfig)
    """How many edges are shown, and for how long."""

    max_apps: Count = 1_000
    """Applications. Beyond, spans of further ones are counted as hidden and nowhere else."""

    sampling: dict[str, Annotated[float, Meta(gt=0, le=1)]] = {}
    """Application → the share of its traces that its sampler keeps, where the traces do not say so themselves: most
    samplers of today do not. Then each call stands for 1/share."""

    def faults(self) -> Iterator[Fault]:
        if self.prometheus_endpoint:
            example = "http://prometheus:9090"
            yield from unusable_url("prometheus_endpoint", self.prometheus_endpoint, ("http", "https"), example)
