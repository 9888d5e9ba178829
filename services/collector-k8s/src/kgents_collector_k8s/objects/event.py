"""Events: `events.k8s.io/v1`, with the fields of the older `v1` Event under their deprecated names."""

from datetime import datetime

from kgents_collector_k8s.objects.metadata import Lean, Metadata, ObjectReference


class EventSeries(Lean, frozen=True, gc=False):
    """An event that repeats."""

    count: int = 0
    last_observed_time: datetime | None = None


class Event(Lean, frozen=True):
    """`events.k8s.io/v1` Event."""

    metadata: Metadata
    event_time: datetime | None = None
    series: EventSeries | None = None
    reason: str = ""
    type: str = ""
    """`Normal` or `Warning`."""
    note: str = ""
    regarding: ObjectReference = ObjectReference()
    deprecated_first_timestamp: datetime | None = None
    deprecated_last_timestamp: datetime | None = None
    deprecated_count: int = 0
