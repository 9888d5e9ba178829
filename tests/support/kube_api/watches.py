"""Watches: the initial state, what happened since a version, and what happens from now on."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import msgspec

from support.kube_api.lists import shown_revision
from support.kube_api.options import Options
from support.kube_api.resources import Resource
from support.kube_api.selectors import Selects
from support.kube_api.status import ApiError
from support.kube_api.store import Change, Follower, Record, Store
from support.kube_api.views import View


@dataclass(eq=False)
class Watch:
    """One open watch. Between `begin` and `end` it misses nothing, whoever reads it how slowly.

    A watch from a version that the store has not reached yet is accepted, and shows nothing up to that version: neither
    objects nor bookmarks. So does Kubernetes: `cacheWatcher.process` in k8s.io/apiserver sends only what is newer than
    the version asked for, and no one compares that with the newest; observed on an API server 1.36 whose etcd had been
    restored from a backup.
    """

    store: Store
    resource: Resource
    view: View
    selects: Selects
    options: Options
    follower: Follower = field(default_factory=Follower)
    _after: int = 0

    def begin(self, lag: Random | None) -> Iterator[bytes]:
        """Follow from now on; returns the lines that come first.

        Raises:
            ApiError: 410, when the version asked for is no longer known; 504, when the initial state is to be as new
                as a version that is not known yet.
        """
        collection = self.store.collection(self.resource)
        if self.options.version in ("", "0") or self.options.initial_events:
            revision = shown_revision(self.store, self.resource, self.options, lag)
            shows = self.options.initial_events is not False
            state = (
                [record for record in collection.at(self.resource, revision) if self.selects(record)] if shows else []
            )
        else:
            revision, state = self.options.revision, []
        self._after = revision
        changes = collection.since(revision)
        collection.followers.add(self.follower)
        return self._first_lines(state, revision, changes)

    def end(self) -> None:
        self.store.collection(self.resource).followers.discard(self.follower)

    def ask_bookmark(self) -> None:
        if self.options.allows_bookmarks:
            self.follower.put(self.store.revision, None)

    async def next_lines(self, within_s: float | None) -> list[bytes]:
        """What happened since the last call; empty after `within_s` without anything to say."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    lines = [
                        line for revision, change in self.follower.take() if (line := self._line(revision, change))
                    ]
                    if lines or self.follower.is_closed:
                        return lines
                    await self.follower.wake.wait()
        except TimeoutError:
            return []

    def _first_lines(self, state: list[Record], revision: int, changes: list[Change]) -> Iterator[bytes]:
        for record in state:
            yield self.view.event("ADDED", record)
        if self.options.initial_events and self.options.allows_bookmarks:
            yield self.view.bookmark(revision, ends_initial_events=True)
        for change in changes:
            if line := self._line(change.revision, change):
                yield line

    def _line(self, revision: int, change: Change | None) -> bytes:
        if revision < self._after or (change is not None and revision == self._after):
            return b""
        if change is None:
            return self.view.bookmark(revision, ends_initial_events=False)
        was = change.before is not None and self.selects(change.before)
        if change.after is not None and self.selects(change.after):
            return self.view.event("MODIFIED" if was else "ADDED", change.after)
        return self.view.event("DELETED", change.tombstone) if was else b""


def error_line(error: ApiError) -> bytes:
    """A failure inside a stream whose head said 200."""
    return b'{"type":"ERROR","object":%b}\n' % msgspec.json.encode(error.status())
