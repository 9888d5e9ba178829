"""Objects as etcd and the watch cache keep them: one revision for all, a log of changes, and compaction.

Each object is encoded once, when it is written; lists and watches only join those bytes.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import msgspec

from support.kube_api.resources import EVENTS, NEW_EVENTS, Resource
from support.kube_api.status import Json, too_old

EVENT_FIELDS = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
"""How `events.k8s.io` renames what the core group's Event says."""
EVENT_FIELDS_BACK = {new: old for old, new in EVENT_FIELDS.items()}

BEGINNING = 990
"""All before this revision is compacted. Versions soon have one more digit: who compares them as text must fail."""
SNAPSHOTS_MAX = 4
LOG_MAX = 100_000
"""Changes of a resource that can be read again; a real cluster forgets them after five minutes."""
LAG_MAX = 100_000
"""Changes that a watch may lag behind before the server ends it; a real one allows far fewer, but has more cores."""


@dataclass(frozen=True, slots=True)
class Record:
    """One version of an object. `body` is its JSON without `kind` and `apiVersion`, as it stands in a list."""

    namespace: str
    name: str
    uid: str
    revision: int
    labels: dict[str, str]
    fields: dict[str, str]
    body: bytes

    def decode(self) -> Json:
        found: Json = msgspec.json.decode(self.body)
        return found

    def at(self, revision: int) -> "Record":
        """The same content under another version, for what a deletion or a left selection shows."""
        content = self.decode()
        content["metadata"]["resourceVersion"] = str(revision)
        return replace(self, revision=revision, body=msgspec.json.encode(content))


@dataclass(frozen=True)
class Change:
    """One entry of the log: before is None for a creation, after is None for a deletion."""

    revision: int
    before: Record | None
    after: Record | None

    @cached_property
    def tombstone(self) -> Record:
        """The last content under the version of this change."""
        assert self.before is not None
        return self.before.at(self.revision)


@dataclass(eq=False)
class Follower:
    """A watch in the making: what happened since it began. `None` in the queue asks for a bookmark."""

    changes: deque[tuple[int, Change | None]] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    is_closed: bool = False
    """The server ends the watch once what is queued was sent."""

    def put(self, revision: int, change: Change | None) -> None:
        if len(self.changes) >= LAG_MAX:
            self.is_closed = True
        if not self.is_closed:
            self.changes.append((revision, change))
        self.wake.set()

    def close(self) -> None:
        self.is_closed = True
        self.wake.set()

    def take(self) -> list[tuple[int, Change | None]]:
        found = list(self.changes)
        self.changes.clear()
        self.wake.clear()
        return found


class Collection:
    """All objects of one resource and the log of their changes since the last compaction."""

    def __init__(self, compacted: int) -> None:
        self.records: dict[str, Record] = {}
        self.log: list[Change] = []
        self.compacted = compacted
        """Nothing older than this revision can be read any more."""
        self.followers: set[Follower] = set()
        self._changed_at = 0
        self._snapshots: dict[int, list[Record]] = {}

    def commit(self, key: str, change: Change) -> None:
        self.log.append(change)
        self._changed_at = change.revision
        if change.after is None:
            del self.records[key]
        else:
            self.records[key] = change.after
        if len(self.log) > LOG_MAX:
            self.compacted = self.log[LOG_MAX // 2 - 1].revision
            del self.log[: LOG_MAX // 2]
        for follower in self.followers:
            follower.put(change.revision, change)

    def at(self, resource: Resource, revision: int) -> list[Record]:
        """Every object as it was at a revision, in the order of keys.

        Raises:
            ApiError: 410, when that is older than the last compaction.
        """
        if revision < self.compacted:
            raise too_old(revision, self.compacted)
        revision = min(revision, self._changed_at)
        if revision not in self._snapshots:
            while len(self._snapshots) >= SNAPSHOTS_MAX:
                del self._snapshots[next(iter(self._snapshots))]
            self._snapshots[revision] = self._undo(resource, revision)
        return self._snapshots[revision]

    def since(self, revision: int) -> list[Change]:
        """What happened after a revision.

        Raises:
            ApiError: 410, when the log does not reach back that far.
        """
        if revision < self.compacted:
            raise too_old(revision, self.compacted)
        index = len(self.log)
        while index and self.log[index - 1].revision > revision:
            index -= 1
        return self.log[index:]

    def compact(self, revision: int) -> None:
        self.compacted = revision
        self.log.clear()
        self._snapshots.clear()

    def restore(self, records: dict[str, Record], revision: int) -> None:
        """Hold these objects and no history, as a server does that has just been started on a store from a backup."""
        self.records = dict(records)
        self._changed_at = revision
        self.compact(revision)

    def _undo(self, resource: Resource, revision: int) -> list[Record]:
        state = dict(self.records)
        for change in reversed(self.log):
            if change.revision <= revision:
                break
            touched = change.before or change.after
            assert touched is not None
            key = resource.key(touched.namespace, touched.name)
            if change.before is None:
                del state[key]
            else:
                state[key] = change.before
        return [state[key] for key in sorted(state)]


@dataclass(frozen=True)
class Backup:
    """Everything that a store held at one revision."""

    revision: int
    collections: dict[str, dict[str, Record]]


class Store:
    """Every collection under one revision that only grows, until it is restored from a backup."""

    def __init__(self) -> None:
        self.revision = BEGINNING
        self._collections: dict[str, Collection] = {}

    def collection(self, resource: Resource) -> Collection:
        return self._collections.setdefault(resource.name, Collection(BEGINNING))

    def get(self, resource: Resource, namespace: str, name: str) -> Record | None:
        return self.collection(resource).records.get(resource.key(namespace, name))

    def put(self, resource: Resource, content: Json) -> Record:
        """Store a new version of an object under the next revision; only `metadata.resourceVersion` is set here."""
        self.revision += 1
        content = {"metadata": content["metadata"] | {"resourceVersion": str(self.revision)}} | {
            key: value for key, value in content.items() if key not in ("kind", "apiVersion", "metadata")
        }
        self._commit_twin(resource, content)
        return self._commit(resource, content)

    def remove(self, resource: Resource, record: Record) -> Record:
        """Delete an object; what is returned carries the version of the deletion."""
        self.revision += 1
        change = Change(self.revision, record, None)
        self.collection(resource).commit(resource.key(record.namespace, record.name), change)
        twin = _twin(resource)
        if twin and (other := self.get(twin, record.namespace, record.name)):
            self.collection(twin).commit(twin.key(other.namespace, other.name), Change(self.revision, other, None))
        return change.tombstone

    def compact(self, resource: Resource) -> None:
        """Forget the log. Something else was written too, so that every version handed out before is older."""
        self.revision += 1
        self.collection(resource).compact(self.revision)

    def backup(self) -> Backup:
        collections = {name: dict(collection.records) for name, collection in self._collections.items()}
        return Backup(self.revision, collections)

    def restore(self, backup: Backup) -> None:
        """Be as it was, with the revision of that time."""
        self.revision = backup.revision
        for name, collection in self._collections.items():
            collection.restore(backup.collections.get(name, {}), backup.revision)

    def _commit(self, resource: Resource, content: Json) -> Record:
        metadata = content["metadata"]
        namespace = metadata.get("namespace", "")
        before = self.get(resource, namespace, metadata["name"])
        record = Record(
            namespace=namespace,
            name=metadata["name"],
            uid=metadata["uid"],
            revision=self.revision,
            labels=metadata.get("labels") or {},
            fields={path: _text_at(content, path) for path in resource.fields},
            body=msgspec.json.encode(content),
        )
        self.collection(resource).commit(resource.key(namespace, record.name), Change(self.revision, before, record))
        return record

    def _commit_twin(self, resource: Resource, content: Json) -> None:
        twin = _twin(resource)
        if twin:
            names = EVENT_FIELDS if twin is NEW_EVENTS else EVENT_FIELDS_BACK
            self._commit(twin, {names.get(key, key): value for key, value in content.items()})


def _twin(resource: Resource) -> Resource | None:
    """Events are one collection, served by two API groups."""
    return {EVENTS: NEW_EVENTS, NEW_EVENTS: EVENTS}.get(resource)


def _text_at(content: Json, path: str) -> str:
    found: Any = content
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    if path == "source" and isinstance(found, dict):
        found = found.get("component")
    if isinstance(found, bool):
        return str(found).lower()
    return "" if found is None else str(found)
