"""The settings of every target, whatever its backend: `config.Config` → Target → the schedule and the source."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from kgents_shared.bus.files import authorities, half_of_a_pair, unusable_pair
from kgents_shared.contract.section import Fault, Section

TlsMode = Literal["disable", "prefer", "require", "verify-full"]


class Target(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One database to poll. Its name is the key under which it is configured."""

    namespace: str = ""
    """The namespace of its entity: that of its Service in Kubernetes, or none."""

    interval_s: Annotated[float, Meta(ge=1, le=3600)] = 10.0
    """Seconds from one poll of the cheap figures to the next, and from pulse to pulse; a tenth of it is jitter, so
    that many collectors do not poll at the same moment."""

    medium_interval_s: Annotated[float, Meta(ge=1)] = 60.0
    """Seconds between polls of what costs milliseconds: statement statistics, tables."""

    slow_interval_s: Annotated[float, Meta(ge=1)] = 600.0
    """Seconds between polls of what costs tens of milliseconds: sizes, settings."""

    connect_timeout_s: Annotated[float, Meta(gt=0, le=30)] = 5.0
    """Seconds for one attempt to connect, the login included."""

    breaker_failures: Annotated[int, Meta(ge=1)] = 5
    """Failed polls in a row after which polling pauses."""

    breaker_pause_s: Annotated[float, Meta(ge=1)] = 60.0
    """Seconds of that pause, ±10 %. The pulse keeps coming, with the last cause."""

    @property
    def address(self) -> str:
        """The address for error texts: `host:port`, or the path of a socket."""
        raise NotImplementedError


class TlsTarget(Target, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A database that may be reached over TLS."""

    tls: TlsMode = "prefer"
    """As libpq's `sslmode`. Only `verify-full` verifies the server's identity."""

    tls_ca_file: str | None = None
    """PEM file of the authorities for `verify-full`. null: those of the operating system."""

    tls_cert_file: str | None = None
    """PEM file of our own certificate, for a server that verifies its clients. null: we show none."""

    tls_key_file: str | None = None
    """PEM file of the key of `tls_cert_file`; the two are given together or not at all."""

    def faults(self) -> Iterator[Fault]:
        yield from half_of_a_pair(self.tls_cert_file, self.tls_key_file, "tls_")
        if self.tls_ca_file is not None and self.tls != "verify-full":
            yield Fault("tls_ca_file", "tls: verify-full beside it", self.tls, "set both or none", beside=("tls",))
        if self.tls_cert_file is not None and self.tls in ("disable", "prefer"):
            expected = "tls: require or verify-full beside it"  # else the login may go without TLS
            yield Fault("tls_cert_file", expected, self.tls, "try: tls: verify-full", beside=("tls",))

    def check(self) -> Iterator[Fault]:
        yield from authorities(self.tls_ca_file, "tls_ca_file")
        yield from unusable_pair(self.tls_cert_file, self.tls_key_file, "tls_")


def unusable_host(host: str) -> Iterator[Fault]:
    """Yield the fault of a host that is no name, no address and no directory of a socket."""
    if not host or any(character.isspace() for character in host) or "://" in host or "@" in host:
        found = "an empty text" if not host else "something else"
        yield Fault("host", "a name, an address, or the directory of a socket", found, "try: 127.0.0.1")
