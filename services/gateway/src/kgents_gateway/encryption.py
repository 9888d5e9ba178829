"""The certificate of the gateway as its files are now: a new one is used by the next connections, without a restart."""

import asyncio
import ssl
from pathlib import Path
from typing import Final

import structlog

from kgents_gateway.config import TlsConfig

READ_EVERY_S: Final = 2.0

_log = structlog.get_logger(__name__)


class Encryption:
    """TLS of the gateway's own. `run` must be running."""

    def __init__(self, config: TlsConfig) -> None:
        """The files must be a pair, as `config` checks.

        Raises:
            OSError: they are none.
        """
        self._files = (config.cert_file or "", config.key_file or "")
        self._content = self._read()
        self.context: Final = _context(self._files)
        self.fault = ""
        """Why the files are not used as they are now; empty: they are."""

    async def run(self) -> None:
        """Read the files again and again. Never returns."""
        while True:
            await asyncio.sleep(READ_EVERY_S)
            await self.refresh()

    async def refresh(self) -> None:
        """Use the files as they are now, or go on with what they were if they are no pair."""
        try:
            content = await asyncio.to_thread(self._read)
            if content != self._content:
                _context(self._files)  # a certificate that does not fit its key would be left in the one in use
                self.context.load_cert_chain(*self._files, password="")
                self._content = content
                _log.info("certificate_read", file=self._files[0])
            fault = ""
        except OSError as error:  # ssl.SSLError is one
            why = error.reason if isinstance(error, ssl.SSLError) else error.strerror
            words = (why or "no PEM").lower().replace("_", " ")
            places = " and ".join(self._files)
            fault = f"expected a certificate and its key in {places}, found: {words}; the last ones are used"
        if fault and fault != self.fault:
            _log.error("certificate_not_read", error=fault)
        self.fault = fault

    def _read(self) -> list[bytes]:
        return [Path(each).read_bytes() for each in self._files]


def _context(files: tuple[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(*files, password="")  # with one it would ask the terminal
    return context
