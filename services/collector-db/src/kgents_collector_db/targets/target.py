"""The settings of every target, whatever its backend: `config.Config` → Target → the schedule and the source."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from kgents_shared.contract.section import Fault, Section


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


def unusable_host(host: str) -> Iterator[Fault]:
    """Yield the fault of a host that is no name, no address and no directory of a socket."""
    if not host or any(character.isspace() for character in host) or "://" in host or "@" in host:
        found = "an empty text" if not host else "something else"
        yield Fault("host", "a name, an address, or the directory of a socket", found, "try: 127.0.0.1")


def misplaced_authorities(tls_ca_file: str | None, tls: str) -> Iterator[Fault]:
    """Yield the fault of a `tls_ca_file` that this `tls` mode does not use."""
    if tls_ca_file is not None and tls != "verify-full":
        yield Fault("tls_ca_file", "tls: verify-full beside it", tls, "set both or none", beside=("tls",))
