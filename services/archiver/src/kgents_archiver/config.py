"""The settings of the archiver → store/, app."""

import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from kgents_shared.bus.config import Secret
from kgents_shared.contract.address import is_loopback, join
from kgents_shared.contract.section import Fault, Section

Days = Annotated[int, Meta(ge=1, le=3_650)]
Port = Annotated[int, Meta(ge=1, le=65_535)]


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section `archiver`."""

    host: str = ""
    """Where PostgreSQL is: a name, an address, or the directory of a unix socket. Empty: there is no archive."""

    port: Port = 5432

    user: str = "kgents_archive"
    """A role that owns the schema `kgents` of its database, and needs nothing else."""

    password: Secret | None = None
    """Its password; a file is read again for every connection. null: no password."""

    database: str = "kgents"
    """The database, which may hold other schemas."""

    tls: Literal["auto", "verify", "off"] = "auto"
    """Whether the connection is encrypted, and the name in the server's certificate checked. auto: unless the server is
    on this machine. off sends what is archived, and the login, readable over the network."""

    ca_file: str | None = None
    """Certificates of the authorities that may have signed the server's; null: those of this machine."""

    retention_d: Days = 30
    """For how many days any moment can be asked for. What is there now is kept however old it is."""

    event_retention_d: Days = 30
    """For how many days events are kept."""

    minute_retention_d: Annotated[int, Meta(ge=2, le=3_650)] = 7
    """For how many days the figures of each minute are kept: 30 bytes and more for each figure and minute."""

    hour_retention_d: Days = 400
    """For how many days the figures of each hour are kept: thirteen months compare a month with that of a year ago."""

    max_bytes: Annotated[int, Meta(ge=64 * 1024**2)] | None = None
    """What the archive may take of disk, with everything in its schema; beyond, days are dropped before their time.
    null: no bound. A full disk stops every database of the server, so leave a fifth of it free."""

    redact: list[str] = []
    """Patterns (regular expressions) of what is stored as `***`, beside credentials: in the texts of each version and
    event, but for the names that say what it is about; of one that matches times too, messages cannot be read any
    more. The audit trail is stored as it is recorded."""

    migrate: Literal["check", "auto"] = "check"
    """Whether the service itself brings the tables up to date. check: it refuses to start, and `kgents archive migrate`
    does it: on a database that others use as well, a person decides when tables change."""

    statement_timeout_s: Annotated[float, Meta(ge=1, le=600)] = 30.0
    """Seconds after which a statement is given up; it is repeated, so a slow server is only behind."""

    @property
    def is_configured(self) -> bool:
        """Whether there is an archive."""
        return bool(self.host)

    @property
    def address(self) -> str:
        """The server as people write it; without the login."""
        if self.host.startswith("/"):
            return f"{self.host.rstrip('/')}/.s.PGSQL.{self.port}"
        return join(self.host, self.port)

    @property
    def needs_tls(self) -> bool:
        """Whether a connection without TLS is refused."""
        return self.tls == "verify" or (self.tls == "auto" and not _is_local(self.host))

    def faults(self) -> Iterator[Fault]:
        for place, pattern in enumerate(self.redact):
            try:
                found = "one that matches an empty text" if re.compile(pattern).match("") else ""
            except re.error as error:
                found = str(error)
            if found:
                advice = r"try: \b\d{16}\b"
                yield Fault(f"redact[{place}]", "a regular expression that matches something", found, advice)
        if self.ca_file is not None and not self.needs_tls:
            yield Fault("ca_file", "a connection with TLS", f"tls: {self.tls}", "set tls: verify", beside=("tls",))
        if "://" in self.host:
            advice = "host: db.example.com, with user, password and database beside it"
            yield Fault("host", "a name, an address or a directory", "a url", advice)

    def check(self) -> Iterator[Fault]:
        if self.ca_file is not None:
            try:
                ssl.create_default_context(cafile=self.ca_file)
            except (OSError, ssl.SSLError) as error:
                yield Fault("ca_file", "a file of certificates (PEM)", str(error), "check the path")


def _is_local(host: str) -> bool:
    return Path(host).is_absolute() or is_loopback(host)
