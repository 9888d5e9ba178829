"""The life of one alert: `kgents.alert.<cluster>.<kind>.<namespace>.<name>.<check>`."""

from typing import Final

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Edge
from kgents_shared.contract.wire import REMOVE, Time, Wire, stated

STATES: Final = ("pending", "firing", "resolved")


class Alert(Wire, frozen=True):
    """One check that fails on one entity: pending while it may be a blip, firing, then resolved."""

    text: str
    ref: Ref
    check: str
    state: str
    """One of STATES."""
    severity: str
    """`warning` or `critical`."""
    op: str = stated("upsert")
    dedup_key: str = ""
    """Constant from pending to resolved, and equal for the same entity and check the next time."""
    started_at: Time | None = None
    ended_at: Time | None = None
    """Set once it is resolved."""
    value: float | str | None = None
    threshold: float | str | None = None
    unit: str = ""
    evidence: str = ""
    edge: Edge | None = None
    """Of a finding on a connection: which; the worst one, if there are several."""
    cut: list[str] = []
    """What was left out because the whole message would exceed the server's max_payload. Empty: it is whole."""

    @property
    def is_removal(self) -> bool:
        """Whether the alert has expired."""
        return self.op == REMOVE
