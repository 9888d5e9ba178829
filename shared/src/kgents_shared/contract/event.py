"""What happened: `kgents.event.<cluster>.<source>.<kind>.<namespace>.<name>`. A log, kept for days."""

from typing import Final

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.wire import Time, Wire

SEVERITIES: Final = ("info", "warning", "error", "critical")


class Event(Wire, frozen=True):
    """One occurrence on one entity, or `count` occurrences of the same kind."""

    text: str
    """One plain sentence."""
    id: str
    """Equal for the same occurrence, however often it is reported."""
    ref: Ref
    source: str
    type: str
    """The source's own class of it: `Normal`, `Warning`, `io.nats.jetstream.advisory.v1.max_deliver`."""
    reason: str
    """Short and countable: `BackOff`, `SlowConsumer`."""
    severity: str
    """One of SEVERITIES."""
    first_at: Time
    last_at: Time
    message: str = ""
    count: int = 1
    uid: str = ""
    cut: list[str] = []
    """What was left out because the whole message would exceed the server's max_payload. Empty: it is whole."""
