"""Topology, health and alert messages → the join of them per entity, and what each message changes. Pure.

The content of a Fold depends on the streams alone: restarts, resets and repeated messages lead to the same entities.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from kgents_shared.contract.attestation import ATTESTED, Attestation, Scopes
from kgents_shared.contract.codec import is_removal
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.subjects import escape, is_hashed, unescape
from kgents_shared.contract.vocabulary.kinds import SOURCE
from kgents_shared.view.entity import STATE, EntityView, Rows, key_of, key_of_ref, subject_of
from kgents_shared.view.selection import Selection

_NO_ROWS: Final = Rows()

SOURCES: Final = "source"
"""The sources of the selected entities, where a selection has to read them beside its topology. Like a signal."""


class EntityChange(msgspec.Struct, frozen=True):
    """What one message changes for a reader with a selection."""

    signal: str
    """The signal of the message: `topology`, `health` or `alert`."""
    subject: str
    before: EntityView | None
    """The entity before; None if it did not exist or was not selected."""
    after: EntityView | None
    """The entity now; None if it is gone or no longer selected."""
    is_gone: bool = False
    """Whether `after` is None because the entity is gone, and not because it is no longer selected."""
    removal: bytes | None = None
    """The message of the removal, with the reason; None if there is none."""
    seq: int = 0
    """The message's sequence in its stream; 0 if the change is the absence of a message."""
    time_ns: int = 0
    """When the message was stored, in Unix nanoseconds; 0 as for `seq`."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """The last message of one subject."""

    subject: str
    payload: bytes | None
    """None: the subject's entity, health or alert is gone."""
    removal: bytes | None = None
    """The message of the removal; None if the server dropped the last message."""
    seq: int = 0
    time_ns: int = 0


class Fold:
    """The selected entities, by the messages so far. An entity exists while `anchor` has a row."""

    def __init__(self, selection: Selection, signals: Iterable[str] = STATE) -> None:
        """The first of `signals` decides whether an entity exists; the others are joined to it.

        Health is never read without the topology, which knows whether an entity is stale.
        """
        given = dict.fromkeys(signals)
        self.signals: Final = tuple(dict.fromkeys((*given, "topology")) if "health" in given else given)
        self.anchor: Final = self.signals[0]
        is_needed = "topology" in self.signals and selection.source_filters()
        self.feeds: Final = (*self.signals, SOURCES) if is_needed else self.signals
        """What to read: the signals, and the sources where the filters of the topology do not match them."""
        self._selection = selection
        self._tests = {signal: selection.subject_test(signal) for signal in self.signals}
        self._rows: dict[str, Rows] = {}
        self.announced: set[str] = set()
        """Keys of entities that the reader may know although they have no rows here. See `PositionFile`."""
        self._unseen: dict[str, set[str]] = {}
        """Signal → the subjects known before its reset that its new snapshot has not brought yet."""
        self._sources: dict[str, bytes] = {}
        self._attestation = self._next_attestation = ATTESTED
        self._clusters: set[str] = set()  # as in keys

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, ref: Ref) -> EntityView | None:
        """What is known of one entity, selected or not; None if nothing is."""
        return self.view(key_of_ref(ref))

    def known_keys(self) -> list[str]:
        """The keys of all that anything is known of, selected or not, as they are at this moment."""
        return list(self._rows)

    def view(self, key: str) -> EntityView | None:
        """What is known of the entity with this key."""
        rows = self._rows.get(key)
        return EntityView(key, rows, self._attestation) if rows is not None else None

    @property
    def attestation(self) -> Attestation:
        """What is not attested of these entities."""
        return self._attestation

    @property
    def clusters(self) -> list[str]:
        """Those of which there ever was a row; without a name that is only a hash in subjects."""
        return [unescape(each) for each in self._clusters if not is_hashed(each)]

    def entities(self) -> Iterator[EntityView]:
        """Every selected entity."""
        for key, rows in self._rows.items():
            if (view := self._selected(key, rows, self._attestation)) is not None:
                yield view

    def put(self, row: Row) -> None:
        """Store one row without computing the change: in a snapshot everything is new."""
        self._put_source(row)
        self._attestation = self._next_attestation
        signal, key, check = key_of(row.subject)
        if self._tests[signal](row.subject):
            self._put(signal, key, check, row.payload)

    def subjects(self, signal: str) -> list[str]:
        """Every subject of a signal with a message."""
        return [row.subject for row in self.rows(signal)]

    def silence(self, silent: Scopes) -> None:
        """Take note of what the services that write topology and health do not keep up to date; see `reattested`."""
        self._next_attestation = self._next_attestation.with_silent(silent)

    def attest(self) -> None:
        """Apply what is known of sources and services without computing what changes, as `put` does."""
        self._attestation = self._next_attestation

    def begin(self, signal: str) -> None:
        """A new snapshot of this signal's stream follows. What it does not bring is removed when it is complete."""
        self._unseen[signal] = {row.subject for row in self.rows(signal)}

    def take(self, signal: str, rows: Iterable[Row]) -> tuple[list[EntityChange], list[Row]]:
        """Store the next rows of a signal; returns what changes for the reader, and the rows that differ."""
        unseen = self._unseen.get(signal)
        test = self._tests["topology" if signal == SOURCES else signal]
        changes: list[EntityChange] = []
        news: list[Row] = []
        for row in rows:
            if unseen:
                unseen.discard(row.subject)
            if self._put_source(row) and not test(row.subject):
                news.append(row)
            if test(row.subject):
                self._apply(row, changes, news)
        return changes, news

    def vanished(self, signal: str) -> list[Row]:
        """The snapshot of this signal is complete: returns the rows that it did not bring, as removed."""
        return [Row(subject, None) for subject in sorted(self._unseen.pop(signal, ()))]

    def reattested(self, seq: int = 0, time_ns: int = 0) -> Iterator[EntityChange]:
        """What changes for the reader by the sources that `take` brought, and by `silence`; before the next `take`.

        `seq` and `time_ns`: of the message that brought it.
        """
        old, new = self._attestation, self._next_attestation
        self._attestation = new
        if old is new:
            return
        names = [msgspec.json.encode(source) for _, source in old.changed(new)]
        clusters = {escape(cluster) for cluster, _ in old.silence_changed(new)}
        for key, rows in self._rows.items():
            is_named = rows.topology is not None and any(name in rows.topology for name in names)
            if not (is_named or key.partition(".")[0] in clusters):
                continue  # not decoded: a reader may hold a hundred thousand
            before, after = self._selected(key, rows, old), self._selected(key, rows, new)
            if before != after:
                yield EntityChange("topology", subject_of("topology", key), before, after, seq=seq, time_ns=time_ns)

    def settle(self) -> list[EntityChange]:
        """All snapshots are complete: entities that the reader may know and that have no rows are removed."""
        changes = [self._vanishing(key) for key in sorted(self.announced)]
        self.announced = set()
        return changes

    def rows(self, signal: str) -> Iterator[Row]:
        """Every row of a signal, and of the sources with the feed that brings them."""
        if signal == self.feeds[-1] == SOURCES or (signal == "topology" and SOURCES not in self.feeds):
            selected = () if signal == SOURCES else self._rows
            sources = ((subject, payload) for subject, payload in self._sources.items())
            yield from (Row(subject, payload) for subject, payload in sources if key_of(subject)[1] not in selected)
        if signal == SOURCES:
            return
        for key, rows in self._rows.items():
            for check in (rows.alerts or ()) if signal == "alert" else ("",):
                if (payload := rows.message(signal, check)) is not None:
                    yield Row(subject_of(signal, key, check), payload)

    def _apply(self, row: Row, changes: list[EntityChange], news: list[Row]) -> None:
        signal, key, check = key_of(row.subject)
        old, new = self._put(signal, key, check, row.payload)
        is_announced = bool(self.announced) and key in self.announced
        if old is new and not is_announced:
            return
        news.append(row)
        before, after = (self._selected(key, rows, self._attestation) for rows in (old, new))
        if is_announced and after is not None:
            self.announced.remove(key)
            before = None
        if before is not None or after is not None:
            is_gone = after is None and not self._is_there(new)
            change = EntityChange(signal, row.subject, before, after, is_gone, row.removal, row.seq, row.time_ns)
            changes.append(change)

    def _vanishing(self, key: str) -> EntityChange:
        rows = self._rows.get(key, _NO_ROWS)
        subject = subject_of(self.anchor, key)
        view = EntityView(key, rows, self._attestation)
        return EntityChange(self.anchor, subject, view, None, is_gone=not self._is_there(rows))

    def _put(self, signal: str, key: str, check: str, payload: bytes | None) -> tuple[Rows, Rows]:
        """Replace one message; returns the entity's rows before and after, the same object if nothing changed."""
        old = self._rows.get(key, _NO_ROWS)
        if old.message(signal, check) == payload:
            return old, old
        new = old.with_message(signal, check, payload)
        if new.is_empty:
            del self._rows[key]
        else:
            self._rows[key] = new
            if old is _NO_ROWS:
                self._clusters.add(key.partition(".")[0])
        return old, new

    def _is_there(self, rows: Rows) -> bool:
        return bool(rows.alerts) if self.anchor == "alert" else rows.message(self.anchor) is not None

    def _put_source(self, row: Row) -> bool:
        """Take note of what a source does not attest, if the row is one's; returns whether it differs."""
        old = self._sources.get(row.subject)
        if not is_source(row.subject) or old == row.payload:
            return False
        if row.payload is None:
            del self._sources[row.subject]
        else:
            self._sources[row.subject] = row.payload
        source = EntityView(key_of(row.subject)[1], Rows(row.payload or old))
        message = source.topology if row.payload is not None else None
        self._next_attestation = self._next_attestation.with_source(message, source.ref.cluster, source.ref.name)
        return True

    def _selected(self, key: str, rows: Rows, attestation: Attestation) -> EntityView | None:
        if not self._is_there(rows):
            return None
        view = EntityView(key, rows, attestation)
        return view if self._selection.takes(view) else None


def is_source(subject: str) -> bool:
    """Whether a message says what a source does not attest."""
    _, signal, _, kind, *_ = subject.split(".")
    return signal == "topology" and kind == SOURCE


def is_gone(payload: bytes) -> bool:
    """Whether a state message is a removal. One that cannot be read is not."""
    try:
        return is_removal(payload)
    except MalformedMessageError:
        return False
