"""The settings of otlp-exporter: where to send, and how often."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from kgents_shared.bus.config import Secret
from kgents_shared.bus.files import authorities
from kgents_shared.contract.address import is_loopback, of_url
from kgents_shared.contract.section import Fault, Section, unusable_url

Interval = Annotated[float, Meta(ge=1, le=86_400)]


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section `otlp-exporter:` of the configuration."""

    endpoint: str = ""
    """A receiver of OTLP over HTTP, without `/v1/logs`: `http://otel-collector:4318`. Empty: nothing is sent."""

    token: Secret | None = None
    """A bearer token to send with, over https or to this machine; as `token_file` it is read again for each request."""

    ca_file: str | None = None
    """PEM file of the authorities that the receiver's certificate may come from. null: those of the system."""

    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 10.0
    """For one request, as the exporters of OpenTelemetry have it."""

    entity_interval_s: Interval = 300.0
    """Seconds after which the state of each entity is sent again, also if nothing has changed. A receiver may take it
    for gone after three of them."""

    metrics_interval_s: Interval = 60.0
    """Seconds from one set of metrics to the next, as the exporters of OpenTelemetry have it."""

    def faults(self) -> Iterator[Fault]:
        if self.endpoint:
            unusable = list(unusable_url("endpoint", self.endpoint, ("http", "https"), "http://otel-collector:4318"))
            yield from unusable
            if not unusable and self.token is not None and not self._is_private:
                advice = "a token is never sent in clear text: give the receiver a certificate, see ca_file"
                expected = "https://, or a loopback address, beside a token"
                yield Fault("endpoint", expected, f'"{self.endpoint}"', advice, beside=("token",))

    @property
    def _is_private(self) -> bool:
        """Whether what is sent cannot be read on its way."""
        return self.endpoint.startswith("https:") or is_loopback(of_url(self.endpoint).host)

    def check(self) -> Iterator[Fault]:
        yield from authorities(self.ca_file)
