"""A ConfigMap beside the Lease, with the records that wait for NATS."""

from typing import Any, Final

import msgspec

from kgents_operator.desired.owner import MANAGER
from kgents_operator.kinds import JOURNAL
from kgents_operator.source.writer import Writer
from kgents_shared.contract.audit import AuditRecord

Json = dict[str, Any]

NAME: Final = "kgents-operator-journal"
KEY: Final = "records"
BYTES_MAX: Final = 900_000
"""A ConfigMap holds 1 MiB; beyond this the oldest records are only in memory."""


class ConfigMapDrawer:
    """Of one installation: the instance that works reads what the one before has left."""

    def __init__(self, writer: Writer, namespace: str) -> None:
        self._writer = writer
        self._namespace = namespace

    async def records(self) -> list[AuditRecord]:
        """Those that were kept. What cannot be read is none: somebody has written it."""
        found = await self._writer.get(JOURNAL, self._namespace, NAME)
        text = ((found or {}).get("data") or {}).get(KEY, "[]")
        try:
            return msgspec.json.decode(text, type=list[AuditRecord])
        except msgspec.DecodeError:
            return []

    async def keep(self, records: list[AuditRecord]) -> None:
        """Keep these, in place of those before."""
        metadata = {"name": NAME, "namespace": self._namespace, "labels": {"app.kubernetes.io/managed-by": MANAGER}}
        document = {"apiVersion": JOURNAL.api_version, "kind": JOURNAL.kind, "metadata": metadata}
        await self._writer.apply(JOURNAL, document | {"data": {KEY: _fitting(records)}})


def _fitting(records: list[AuditRecord]) -> str:
    text = msgspec.json.encode(records)
    while len(text) > BYTES_MAX:
        records = records[len(records) // 4 + 1 :]
        text = msgspec.json.encode(records)
    return text.decode()
