"""Replication slots: rows, and the published entity → figures and an attribute. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from kgents_collector_db.mapping.facts import Figures
from kgents_collector_db.mapping.postgres.rates import greatest
from kgents_collector_db.mapping.postgres.sample import PostgresSample, Slot
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.vocabulary.attributes import postgres as attribute
from kgents_shared.contract.vocabulary.figures import postgres as figure

SAME: Final = timedelta(minutes=1)
"""Two times since when a slot is idle that differ by less are one: each is measured with the delay of its poll."""
JUDGED: Final = (
    figure.SLOTS_LOST,
    figure.SLOT_RETAINED_RATIO,
    figure.SLOT_SAFE_RATIO,
    figure.SLOT_IDLE_S,
    figure.SLOT_XMIN_RATIO,
)
"""Figures that a check judges."""


def figures(sample: PostgresSample, idle: Mapping[str, datetime], at: datetime) -> Figures:
    """What slots retain, and for how long no one has read one.

    Args:
        sample: the poll.
        idle: as of `idle_since`.
        at: now.
    """
    slots, settings = sample.slots, sample.settings
    max_wal_bytes = settings.max_wal_bytes if settings is not None else None
    if slots is None:
        return dict.fromkeys(JUDGED)
    found: Figures = {figure.SLOTS: len(slots)}
    if slots:
        retained_bytes = greatest(each.retained_bytes for each in slots)
        found |= {
            figure.SLOTS_INACTIVE: sum(not each.active for each in slots),
            figure.SLOTS_LOST: sum(is_lost(each) for each in slots),
            figure.SLOT_RETAINED_BYTES: retained_bytes,
            figure.SLOT_SAFE_BYTES: min(
                (each.safe_wal_bytes for each in slots if each.safe_wal_bytes is not None), default=None
            ),
            figure.SLOT_INACTIVE_S: greatest(each.inactive_s for each in slots if not each.active),
        }
        safe = [
            each.safe_wal_bytes / each.limit_wal_bytes
            for each in slots
            if each.safe_wal_bytes is not None and each.limit_wal_bytes
        ]
        if safe:  # else none of them has a limit
            found[figure.SLOT_SAFE_RATIO] = min(safe)
        if retained_bytes is not None:
            found[figure.SLOT_RETAINED_RATIO] = retained_bytes / max_wal_bytes if max_wal_bytes else None
        if idle:
            found[figure.SLOT_IDLE_S] = max((at - since).total_seconds() for since in idle.values())
        held = greatest(greatest((each.xmin_age, each.catalog_xmin_age)) for each in slots)
        if held is not None and sample.identity is not None:
            found[figure.SLOT_XMIN_RATIO] = held / sample.identity.freeze_max_age
    return found


def idle_since(
    previous: PostgresSample | None, sample: PostgresSample, known: Entity | None, at: datetime
) -> dict[str, datetime]:
    """Slots of a primary that no one reads, and since when; a lost slot has a finding of its own.

    On a standby they are idle by design: copies of those of its primary, for the day it is promoted.

    Args:
        previous: the previous poll: a reader that reconnects between two polls leaves no trace.
        sample: this poll.
        known: the published entity of the same database: before 17 the server does not report since when.
        at: now.
    """
    published = known.attributes.get(attribute.SLOTS_IDLE) if known is not None else None
    before = dict(map(_dated, published)) if isinstance(published, list) else {}
    if sample.identity is None or sample.identity.in_recovery:
        return {}
    if sample.slots is None:
        return before
    was_active = {each.slot_name for each in (previous.slots if previous else None) or () if each.active}
    found = {}
    for slot in sample.slots:
        if slot.active or is_lost(slot) or slot.slot_name in was_active:
            continue
        since = at - timedelta(seconds=slot.inactive_s) if slot.inactive_s is not None else at
        old = before.get(slot.slot_name)
        is_same = old is not None and (slot.inactive_s is None or since - old < SAME)
        found[slot.slot_name] = old if old is not None and is_same else since
    return found


def dated(idle: Mapping[str, datetime]) -> list[str]:
    """As the entity holds them."""
    return [f"{name} {since.isoformat(timespec='seconds')}" for name, since in sorted(idle.items())]


def _dated(text: str) -> tuple[str, datetime]:
    name, _, since = text.partition(" ")
    return name, datetime.fromisoformat(since)


def is_lost(slot: Slot) -> bool:
    """Whether WAL that its consumer still needs was removed."""
    return slot.wal_status == "lost" or bool(slot.invalidation_reason)
