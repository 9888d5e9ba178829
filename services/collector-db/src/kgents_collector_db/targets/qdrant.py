"""A Qdrant server to poll: settings → source/qdrant."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from kgents_collector_db.targets.target import Target
from kgents_shared.bus.config import Secret
from kgents_shared.contract.address import join, of_url
from kgents_shared.contract.section import Fault, unusable_url


class QdrantTarget(Target, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One peer: `/metrics` and `/telemetry` describe the peer that answers, so each one is a target of its own."""

    url: str = "http://127.0.0.1:6333"
    """The REST port of this very peer, not of something that balances between several."""

    api_key: Secret | None = None
    """A read-only key; from a file it is read again for every connection. null: the server asks for none."""

    timeout_s: Annotated[float, Meta(gt=0, le=30)] = 5.0
    """Seconds to wait for one answer, and for all answers of one poll."""

    metrics_timeout_s: Annotated[float, Meta(gt=0, le=60)] = 15.0
    """Seconds to wait for `/metrics`, for which the server walks through every segment of every collection."""

    metrics_prefix: str = ""
    """The server's `service.metrics_prefix`."""

    max_collections: Annotated[int, Meta(ge=1)] = 100
    """Collections shown, each of which costs a request. Beyond, one entity `overflow` stands for those left out."""

    def faults(self) -> Iterator[Fault]:
        yield from unusable_url("url", self.url, ("http", "https"), "http://host:6333")

    @property
    def address(self) -> str:
        return join(*of_url(self.url, 443 if self.url.lower().startswith("https:") else 80))
