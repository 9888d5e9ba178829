"""Who may send: bearer tokens from a file that is read again when it changes; and the server's TLS files."""

import hmac
from pathlib import Path
from typing import Final

from kgents_collector_otel.config import TlsConfig

SCHEME: Final = "bearer "


class Tokens:
    """The tokens of a file, any of which a sender has to present. Without a file every sender may send."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._stamp: tuple[int, int] | None = None
        self._tokens: list[bytes] = []

    def allow(self, authorization: str) -> bool:
        """Whether an `authorization` header has one of the tokens."""
        if self._path is None:
            return True
        self._read(self._path)
        if not authorization.lower().startswith(SCHEME):
            return False
        given = authorization[len(SCHEME) :].strip().encode()
        found = False
        for each in self._tokens:  # all of them, so that the time says nothing
            found = hmac.compare_digest(each, given) or found
        return found

    def _read(self, path: Path) -> None:
        """Read the file if it has changed; without it no sender may send."""
        try:
            status = path.stat()
            if (stamp := (status.st_mtime_ns, status.st_size)) != self._stamp:
                lines = path.read_bytes().splitlines()
                self._tokens = [line.strip() for line in lines if line.strip()]
                self._stamp = stamp
        except OSError:
            self._tokens, self._stamp = [], None


def stamps(tls: TlsConfig) -> list[int]:
    """When each file of TLS was changed; 0 for one that is not there."""
    paths = [Path(each) for each in (tls.cert_file, tls.key_file, tls.client_ca_file) if each]
    return [path.stat().st_mtime_ns if path.exists() else 0 for path in paths]
