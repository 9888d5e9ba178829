"""Certificates as a private authority issues them, and a nats-server's configuration with them."""

import ssl
from datetime import datetime
from pathlib import Path

import trustme


class Certificates:
    """A private authority, and the files of a server and a client that it signed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._authority = trustme.CA()
        self.ca = directory / "ca.pem"
        self.ca.write_bytes(self._authority.cert_pem.bytes())
        self.server, self.server_key = self.issue("server", "127.0.0.1")
        self.client, self.client_key = self.issue("client", "client@kgents.test")

    def issue(
        self, name: str, identity: str, authority: trustme.CA | None = None, *, not_after: datetime | None = None
    ) -> tuple[Path, Path]:
        issued = (authority or self._authority).issue_cert(identity, not_after=not_after)
        certificate, key = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        issued.cert_chain_pems[0].write_to_path(certificate)
        issued.private_key_pem.write_to_path(key)
        return certificate, key

    def server_config(self, extra: str = "") -> str:
        return f'tls {{ cert_file: "{self.server}", key_file: "{self.server_key}", ca_file: "{self.ca}"\n{extra} }}'

    def server_context(self) -> ssl.SSLContext:
        """The same certificate, for a server within the test."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.server, self.server_key)
        return context
