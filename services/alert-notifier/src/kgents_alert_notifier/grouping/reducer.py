"""Alerts, topology, silences and acknowledgements → the incidents that are desired → `app.py` publishes them."""

from collections.abc import Iterator
from datetime import datetime

from kgents_alert_notifier.grouping.grouping_config import GroupingConfig
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.silence import Silence
from kgents_shared.contract.topology import TopologyEntity


class Incidents:
    """Everything known of one cluster, and the incidents that it makes."""

    def __init__(self, config: GroupingConfig, cluster: str) -> None:
        self._config = config
        self._cluster = cluster

    def restore(self, incident: Incident) -> None:
        """Go on from what was published before this run."""

    def on_topology(self, entity: TopologyEntity | None, subject: str) -> None:
        """An entity as it is now, or None: it is gone."""

    def on_alert(self, alert: Alert | None, subject: str) -> None:
        """An alert as it is now, or None: it is gone."""

    def on_silence(self, silence: Silence | None, subject: str) -> None:
        """A silence, or None: it was ended, or has expired."""

    def on_acknowledgement(self, acknowledgement: Acknowledgement | None, subject: str) -> None:
        """An acknowledgement, or None: it was taken back."""

    def tick(self, now: datetime) -> None:
        """Let the time be `now`, by the server's clock."""

    def was_away(self, begin_ns: int, end_ns: int) -> None:
        """NATS was away: nothing that was stored is older for it."""

    @property
    def is_dirty(self) -> bool:
        """Whether `take` has results."""
        return False

    def take(self) -> Iterator[Incident]:
        """The incidents that may have changed."""
        yield from ()
