"""The audit trail → its chain, whole and whatever its age."""

from datetime import date

from kgents_archiver.store.ledger import Ledger
from kgents_archiver.store.trail import TrailWriter
from kgents_archiver.versions import FollowingVersions


class FollowingTrail(FollowingVersions):
    """The archive of the audit trail."""

    def _keep(self) -> Ledger:
        self._writer = TrailWriter(self._database, self._signal)
        return self._writer

    def _kept(self) -> dict[str, int]:
        return {}

    def _redact(self, body: bytes) -> bytes:
        """Who records has masked it; the chain covers what the stream holds, byte by byte."""
        return body

    async def _begin_day(self, today: date) -> None:
        """It has neither days nor bases."""
