"""A Qdrant server to poll: settings → source/qdrant."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from kgents_collector_db.targets.target import TlsTarget
from kgents_shared.bus.config import Secret
from kgents_shared.contract.address import join, of_url
from kgents_shared.contract.section import Fault, unusable_url


class QdrantTarget(TlsTarget, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One peer: `/metrics` and `/telemetry` describe the peer that answers, so each peer is a separate target."""

    url: str = "http://127.0.0.1:6333"
    """The REST port of this peer itself, not of a load balancer."""

    api_key: Secret | None = None
    """A read-only key; a file is read again for every connection. null: no key."""

    tls: Literal["require", "verify-full"] = "verify-full"
    """Of a url with https: whether the server's identity is verified. That of a pod that is found by its address cannot
    be, unless its certificate has the address."""

    timeout_s: Annotated[float, Meta(gt=0, le=30)] = 5.0
    """Seconds to wait for one answer, and for all answers of one poll."""

    metrics_timeout_s: Annotated[float, Meta(gt=0, le=60)] = 15.0
    """Seconds to wait for `/metrics`: the server reads every segment of every collection for it."""

    metrics_prefix: str = ""
    """The server's `service.metrics_prefix`."""

    max_collections: Annotated[int, Meta(ge=1)] = 100
    """Most collections that are published; each costs one request. One entity `overflow` stands for the others."""

    def faults(self) -> Iterator[Fault]:
        yield from unusable_url("url", self.url, ("http", "https"), "http://host:6333")
        yield from super().faults()

    @property
    def is_https(self) -> bool:
        """Whether it is reached over TLS."""
        return self.url.lower().startswith("https:")

    @property
    def address(self) -> str:
        return join(*of_url(self.url, 443 if self.is_https else 80))
