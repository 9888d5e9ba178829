"""The form of a record on the wire: whole, as metadata only, or as a row of a table."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec

from support.kube_api.resources import Resource
from support.kube_api.status import Json, not_acceptable
from support.kube_api.store import Record

Shape = Literal["whole", "partial", "table"]
META = "meta.k8s.io/v1"

COLUMNS: dict[str, tuple[str, ...]] = {
    "pods": ("Name", "Ready", "Status", "Restarts", "Age"),
    "secrets": ("Name", "Type", "Data", "Age"),
    "configmaps": ("Name", "Data", "Age"),
}
"""What a table shows of a resource; all others have a name and an age."""


class _Metadata(msgspec.Struct, frozen=True):
    metadata: msgspec.Raw


def shape_of(accept: str) -> Shape:
    """What an `Accept` header asks for: the first of its clauses that we can serve.

    Raises:
        ApiError: 406, when that is none.
    """
    for clause in accept.split(","):
        kind, *parameters = (part.strip() for part in clause.split(";"))
        if kind not in ("application/json", "application/*", "*/*", ""):
            continue
        requested = next((value[3:] for value in parameters if value.startswith("as=")), "")
        if requested == "":
            return "whole"
        if "g=meta.k8s.io" in parameters and "v=v1" in parameters:
            if requested == "Table":
                return "table"
            if re.fullmatch(r"PartialObjectMetadata(List)?", requested):
                return "partial"
    raise not_acceptable()


@dataclass(frozen=True)
class View:
    """One resource in one shape."""

    resource: Resource
    shape: Shape
    include: str = "Metadata"
    """What a table's rows carry beside their cells: `None`, `Metadata` or `Object`."""

    def object(self, record: Record) -> bytes:
        """A single object, as a GET answers it and as a watch event carries it."""
        if self.shape == "partial":
            return _partial(record)
        if self.shape == "table":
            return self._table([record], record.revision, with_columns=True)
        return self._whole(record)

    def event(self, kind: str, record: Record) -> bytes:
        """One line of a watch."""
        return b'{"type":"%b","object":%b}\n' % (kind.encode(), self.object(record))

    def bookmark(self, revision: int, *, ends_initial_events: bool) -> bytes:
        """An object that is nothing but a version; the fields that its type always writes are there, empty."""
        metadata: Json = {"resourceVersion": str(revision), "creationTimestamp": None}
        if ends_initial_events:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        content: Json = {"metadata": metadata}
        if self.resource.plural == "pods":
            content |= {"spec": {"containers": None}, "status": {}}
        return self.event("BOOKMARK", Record("", "", "", revision, {}, {}, msgspec.json.encode(content)))

    def page(self, records: list[Record], revision: int, next_page: str, remaining: int | None) -> Iterator[bytes]:
        """A list in pieces that follow each other on the wire."""
        metadata: Json = {"resourceVersion": str(revision)}
        if next_page:
            metadata["continue"] = next_page
        if remaining is not None:
            metadata["remainingItemCount"] = remaining
        head = msgspec.json.encode(metadata)
        if self.shape == "table":
            yield self._table(records, revision, with_columns=True, metadata=head)
        elif self.shape == "partial":
            start = b'{"kind":"PartialObjectMetadataList","apiVersion":"%b","metadata":%b,"items":['
            yield start % (META.encode(), head)
            yield from _joined(_partial(record) for record in records)
            yield b"]}\n"
        elif self.resource.is_custom:
            yield b'{"apiVersion":"%b","items":[' % self.resource.api_version.encode()
            yield from _joined(self._whole(record) for record in records)
            yield b'],"kind":"%bList","metadata":%b}\n' % (self.resource.kind.encode(), head)
        else:
            start = b'{"kind":"%bList","apiVersion":"%b","metadata":%b,"items":['
            yield start % (self.resource.kind.encode(), self.resource.api_version.encode(), head)
            yield from _joined(record.body for record in records)
            yield b"]}\n"

    def _whole(self, record: Record) -> bytes:
        kind, version = self.resource.kind.encode(), self.resource.api_version.encode()
        return b'{"kind":"%b","apiVersion":"%b",%b' % (kind, version, record.body[1:])

    def _table(self, records: list[Record], revision: int, *, with_columns: bool, metadata: bytes = b"") -> bytes:
        names = COLUMNS.get(self.resource.name, ("Name", "Age"))
        columns = [
            {
                "name": name,
                "type": "string",
                "format": "name" if name == "Name" else "",
                "description": "",
                "priority": 0,
            }
            for name in names
        ]
        return msgspec.json.encode(
            {
                "kind": "Table",
                "apiVersion": META,
                "metadata": msgspec.Raw(metadata or msgspec.json.encode({"resourceVersion": str(revision)})),
                "columnDefinitions": columns if with_columns else None,
                "rows": [self._row(record, names) for record in records],
            }
        )

    def _row(self, record: Record, names: tuple[str, ...]) -> Json:
        content = record.decode()
        cells = {
            "Name": record.name,
            "Age": content["metadata"].get("creationTimestamp"),
            "Type": content.get("type", ""),
            "Data": len(content.get("data") or {}),
            "Status": (content.get("status") or {}).get("phase", ""),
            "Restarts": 0,
            "Ready": "",
        }
        row: Json = {"cells": [cells[name] for name in names]}
        if self.include == "Object":
            row["object"] = msgspec.Raw(self._whole(record))
        elif self.include != "None":
            row["object"] = msgspec.Raw(_partial(record))
        return row


def _partial(record: Record) -> bytes:
    metadata = bytes(msgspec.json.decode(record.body, type=_Metadata).metadata)
    return b'{"kind":"PartialObjectMetadata","apiVersion":"%b","metadata":%b}' % (META.encode(), metadata)


def _joined(bodies: Iterable[bytes]) -> Iterator[bytes]:
    separator = b""
    for body in bodies:
        yield separator + body
        separator = b","
