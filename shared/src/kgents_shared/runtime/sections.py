"""The configuration of every process's log, spans and probes, and of where backups are kept.

Separate from the modules that do this work, so that a command that only reads does not import their libraries.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from kgents_shared.bus.config import Secret
from kgents_shared.bus.files import authorities
from kgents_shared.contract.section import Fault, Section, unusable_url
from kgents_shared.contract.vocabulary.kinds import KINDS


class LogConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Log level and format."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level that is written, for our own lines and those of libraries."""

    format: Literal["auto", "json", "text"] = "auto"
    """`json`: one object per line, for machines. `text`: for people. `auto`: text on a terminal, else JSON."""


class TelemetryConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where spans are sent, and how many; what metrics have beside those of the service (`/metrics`, see `probes`)."""

    otlp_endpoint: str | None = None
    """Base url of an OpenTelemetry collector that speaks OTLP over HTTP, such as `http://localhost:4318`; spans go to
    `/v1/traces` under it. When unset, the standard variable OTEL_EXPORTER_OTLP_ENDPOINT is taken. null: no spans.
    Headers with credentials belong in OTEL_EXPORTER_OTLP_HEADERS, which the exporter reads itself."""

    trace_sample_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.01
    """The share of new traces that is recorded, from 0 to 1; a trace begun elsewhere keeps its beginner's decision.
    One in a hundred shows where time goes at thousands of messages a second, for about no cost."""

    figures: list[str] = []
    """Kinds of entities whose figures a collector shows in its metrics, a series for each figure and entity:
    `database`, `nats_stream`; `*`: every kind. Empty: none, since their number grows with what is observed."""

    figures_max: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    """Entities of these kinds in the metrics of one collector; a gauge counts those beyond. With some 50 figures each,
    a thousand are 50,000 series."""

    def faults(self) -> Iterator[Fault]:
        if unknown := [each for each in self.figures if each not in KINDS and each != "*"]:
            yield Fault("figures", "kinds of entities, or *", ", ".join(unknown), "see docs/reference/vocabulary.md")
        if self.otlp_endpoint is not None:
            # OTLP over HTTP, not gRPC.
            yield from unusable_url("otlp_endpoint", self.otlp_endpoint, ("http", "https"), "http://localhost:4318")


class ProbesConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the probes listen."""

    host: str = "127.0.0.1"
    """The address to listen on. The default keeps metrics on this machine; in Kubernetes set `0.0.0.0`, since the
    kubelet asks from outside the pod."""

    port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    """The TCP port. null: no probes, since several services on one machine would conflict over a fixed port.
    0: any free port."""

    def faults(self) -> Iterator[Fault]:
        if not self.host.strip():
            yield Fault("host", "an address to listen on", "an empty text", "try: 127.0.0.1, or 0.0.0.0 for every one")


class BackupConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The S3-compatible storage of `kgents backup s3://BUCKET/PREFIX`; a directory needs none of this."""

    s3_endpoint: str = ""
    """Its base url, such as `https://s3.eu-central-1.amazonaws.com`. Buckets are addressed by path below it. Empty:
    there is none."""

    s3_region: str = "us-east-1"
    """The region that requests are signed for; storages without regions take the default."""

    s3_access_key: Secret | None = None
    """The id of the key. It needs to get, put and list objects below the prefix, nothing else."""

    s3_secret_key: Secret | None = None
    """The key that requests are signed with."""

    s3_ca_file: str | None = None
    """PEM file of the authorities that may have signed the storage's certificate. null: those of this machine."""

    def faults(self) -> Iterator[Fault]:
        if self.s3_endpoint:
            yield from unusable_url("s3_endpoint", self.s3_endpoint, ("https", "http"), "https://s3.example.com")
        if (self.s3_access_key is None) != (self.s3_secret_key is None):
            names = ("s3_access_key", "s3_secret_key")
            given, missing = names if self.s3_secret_key is None else reversed(names)
            yield Fault(missing, f"a value beside {given}", "none", f"set both, or none: {missing}_file names a file")

    def check(self) -> Iterator[Fault]:
        yield from authorities(self.s3_ca_file, "s3_ca_file")
