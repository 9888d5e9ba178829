"""What every target has in common, whatever its backend: `config.Config` → here → the schedule and the source."""

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
    """Polls that fail in a row before the database is left alone for a while."""

    breaker_pause_s: Annotated[float, Meta(ge=1)] = 60.0
    """How long it is then left alone, a tenth more or less. Its pulse keeps coming, with the last cause."""

    @property
    def address(self) -> str:
        """Where it is, as an error text may name it: `host:port`, or the path of a socket."""
        raise NotImplementedError


def unusable_host(host: str) -> Iterator[Fault]:
    """Yield what is wrong with a host: a name, an address, or the directory of a socket."""
    if not host or any(character.isspace() for character in host) or "://" in host or "@" in host:
        found = "an empty text" if not host else "something else"
        yield Fault("host", "a name, an address, or the directory of a socket", found, "try: 127.0.0.1")


def misplaced_authorities(tls_ca_file: str | None, tls: str) -> Iterator[Fault]:
    """Yield a file of authorities that would not be used."""
    if tls_ca_file is not None and tls != "verify-full":
        yield Fault("tls_ca_file", "tls: verify-full beside it", tls, "set both or none", beside=("tls",))
