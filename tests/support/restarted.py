"""A health-scorer that starts again with what the streams hold: its rows, and the last message of each input."""

from collections.abc import Iterable
from datetime import datetime

from kgents_health_scorer.reducer import Scorer
from kgents_shared.contract.codec import ALERT, HEALTH, encode
from kgents_shared.contract.topology import TopologyEntity
from support.health_inputs import START, Watch


def restarted(watch: Watch, topology: Iterable[TopologyEntity], now: datetime) -> Watch:
    """A new process that has read what the old one published, and the topology."""
    again = Watch()
    again.published = watch.published
    resume(again.scorer, watch, topology, now)
    return again


def resume(scorer: Scorer, watch: Watch, topology: Iterable[TopologyEntity], now: datetime) -> None:
    """Read everything."""
    restore(scorer, watch)
    for entity in topology:
        at = entity.at or now
        scorer.on_topology(entity, entity.ref, now=at, evidence=f"KGENTS_TOPOLOGY:{(at - START).total_seconds():.0f}")
    scorer.caught_up(now)


def restore(scorer: Scorer, watch: Watch) -> None:
    """Read what was published."""
    for row in watch.published.health.values():
        scorer.restore_health(HEALTH.decode(encode(row)))
    for alert in watch.published.alerts.values():
        scorer.restore_alert(ALERT.decode(encode(alert)))
