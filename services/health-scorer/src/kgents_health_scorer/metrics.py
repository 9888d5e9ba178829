"""Health and alerts of one cluster → series of `/metrics`. How many there are does not depend on the entities."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from kgents_shared.contract.alert import Alert
from kgents_shared.contract.health import LEVELS, Aggregate
from kgents_shared.runtime.series import Sample

STATUSES: Final = ("healthy", "moderate", "critical")


def of_health(cluster: str, aggregate: Aggregate) -> Iterator[Sample]:
    """Counts by kind and level, the scores, and the status."""
    of = {"cluster": cluster}
    for status in STATUSES:
        named, is_so = {**of, "status": status}, float(status == aggregate.status)
        yield Sample("kgents_health_status", "1 for the status that the cluster has.", named, is_so)
    if aggregate.overall is not None:
        yield Sample("kgents_health_score", "Mean score of all entities; never alert on it.", of, aggregate.overall)
    for kind, found in aggregate.by_kind.items():
        for level in LEVELS:
            labels = {**of, "kind": kind, "level": level}
            yield Sample("kgents_health_entities", "Entities by their level of health.", labels, getattr(found, level))
        if found.worst is not None:
            yield Sample("kgents_health_worst_score", "The worst score of a kind.", {**of, "kind": kind}, found.worst)


def of_alerts(cluster: str, alerts: Iterable[Alert]) -> Iterator[Sample]:
    """How many fire, by check and severity."""
    found = Counter((each.check, each.severity) for each in alerts if each.state == "firing")
    for (check, severity), count in sorted(found.items()):
        labels = {"cluster": cluster, "check": check, "severity": severity}
        yield Sample("kgents_alerts_firing", "Alerts that fire.", labels, count)
