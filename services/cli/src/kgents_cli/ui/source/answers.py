"""What a gateway answers → the messages it is made of. Pure."""

from datetime import datetime

import msgspec

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.pulse import DatabasePulse, Pulse, ResourcePulse
from kgents_shared.contract.silence import Silence
from kgents_shared.contract.wire import Time
from kgents_shared.view.entity import Rows


class _Record(msgspec.Struct):
    id: str
    health: msgspec.Raw = msgspec.Raw(b"null")
    alerts: list[msgspec.Raw] = []
    op: str = "upsert"


class _Check(msgspec.Struct):
    check: str


class Page(msgspec.Struct):
    """Entities now, or at a time."""

    entities: list[msgspec.Raw]
    next: str = ""
    """The id behind which the next page begins; empty: there is none."""
    forgotten: list[str] = []
    remarks: list[str] = []


class _Series(msgspec.Struct):
    source: str
    at: list[Time]
    values: list[float | None]


class Metrics(msgspec.Struct):
    """The figures of one entity since a time."""

    interval_s: float | None
    series: dict[str, list[_Series]]


class _Last(msgspec.Struct):
    ref: Ref
    source: str
    at: Time
    figures: dict[str, float | None]
    interval_s: float


class LastOfMany(msgspec.Struct):
    """The last figures of many entities."""

    entities: list[_Last]
    next: str = ""

    @property
    def pulses(self) -> list[Pulse]:
        """As samples."""
        return [_pulse(each) for each in self.entities]


class Databases(msgspec.Struct):
    """The last samples of databases, and of comparisons of two: alone these have phases."""

    databases: list[DatabasePulse]
    comparisons: list[DatabasePulse] = []
    """All of them, on each page."""
    next: str = ""

    @property
    def pulses(self) -> list[Pulse]:
        """Both."""
        return [*self.databases, *self.comparisons]


class Silences(msgspec.Struct):
    """Those of now."""

    silences: list[Silence]


class Incidents(msgspec.Struct):
    """The most urgent ones."""

    incidents: list[Incident]


class Gone(msgspec.Struct):
    """An incident that may be gone (`op`: `remove`)."""

    id: str
    op: str = ""


class Why(msgspec.Struct):
    """Why the gateway is not up to date."""

    reason: str = ""


class Problem(msgspec.Struct):
    """Why a question is not answered."""

    detail: str


def rows_of(raw: msgspec.Raw) -> tuple[str, Rows | None]:
    """The messages of a record. It is its topology message with more keys, which readers of that pass over."""
    record = msgspec.json.decode(raw, type=_Record)
    if record.op == "remove":
        return record.id, None
    health = bytes(record.health)
    alerts = {msgspec.json.decode(each, type=_Check).check: bytes(each) for each in record.alerts}
    return record.id, Rows(bytes(raw), None if health == b"null" else health, alerts or None)


def messages(rows: Rows) -> list[tuple[str, str, bytes]]:
    """Signal, check (of an alert) and body of each message."""
    found = [("topology", "", rows.topology), ("health", "", rows.health)]
    found += [("alert", check, body) for check, body in (rows.alerts or {}).items()]
    return [(signal, check, body) for signal, check, body in found if body is not None]


def pulses_of(ref: Ref, found: Metrics) -> list[Pulse]:
    """The samples, each with all figures of its time."""
    by_time: dict[tuple[datetime, str], dict[str, float | None]] = {}
    for name, series in found.series.items():
        for each in series:
            for at, value in zip(each.at, each.values, strict=True):
                by_time.setdefault((at, each.source), {})[name] = value
    interval_s = found.interval_s or 0.0
    return [ResourcePulse(ref=ref, source=source, timestamp=at, interval_s=interval_s, custom=values)
            for (at, source), values in sorted(by_time.items())]  # fmt: skip


def _pulse(each: _Last) -> Pulse:
    return ResourcePulse(
        ref=each.ref, source=each.source, timestamp=each.at, interval_s=each.interval_s, custom=each.figures
    )
