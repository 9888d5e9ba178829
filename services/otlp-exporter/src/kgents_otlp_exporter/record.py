"""What is sent, before it is encoded: mapping → Record, Point → `encoding`. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

INFO: Final = 9
WARN: Final = 13
ERROR: Final = 17
NO_SEVERITY: Final = 0
"""Numbers of OpenTelemetry's log data model."""

SCOPE: Final = "kgents"
"""The instrumentation scope of all that is sent."""


class Record(Struct, frozen=True):
    """One log record. Values of attributes are texts, numbers, booleans, and lists and maps of them."""

    event_name: str
    cluster: str
    attributes: Mapping[str, Any]
    time_ns: int = 0
    """When it happened; 0: not known."""
    body: str = ""
    severity: int = NO_SEVERITY


class Point(Struct, frozen=True):
    """One value of a gauge."""

    attributes: Mapping[str, str]
    value: float | None
    """None: it is not known, which is sent as such and is not zero."""


class Gauge(Struct, frozen=True):
    """One metric of a cluster."""

    name: str
    unit: str
    description: str
    cluster: str
    points: list[Point]
