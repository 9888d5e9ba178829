"""One entity as the commands show it: its topology message, its health, its alerts. Pure."""

from collections.abc import Iterable

import msgspec

from kgents_cli.sentence import clean
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Health
from kgents_shared.contract.topology import TopologyEntity


class Record(msgspec.Struct, frozen=True):
    """What is known of one entity."""

    entity: TopologyEntity
    health: Health | None = None
    """None: not scored yet."""
    alerts: tuple[Alert, ...] = ()
    """Pending and firing, the worst first."""

    @property
    def ref(self) -> Ref:
        """Its name."""
        return self.entity.ref

    @property
    def level(self) -> str:
        """Its level of health; empty if it is not scored."""
        return self.health.level if self.health is not None else ""

    @property
    def score(self) -> str:
        """Its level and score, as in `warning 0.72`; empty if it is not scored."""
        if self.health is None:
            return ""
        return self.level if self.level == "unknown" else f"{self.level} {self.health.score:.2f}"

    @property
    def why(self) -> str:
        """The worst reason for its state, if it needs one."""
        if self.health is not None and self.health.reasons:
            return clean(self.health.reasons[0].text)
        if self.entity.stale:
            return clean(f"stale: no report from {', '.join(self.entity.stale)}")
        return clean(self.entity.reason)


def joined(entities: Iterable[TopologyEntity], health: Iterable[Health], alerts: Iterable[Alert] = ()) -> list[Record]:
    """Every entity with its health and alerts, in the order of their names."""
    health_of = {each.ref: each for each in health}
    alerts_of: dict[Ref, list[Alert]] = {}
    for alert in sorted(alerts, key=lambda each: (each.state != "firing", each.severity != "critical", each.check)):
        if alert.state != "resolved":
            alerts_of.setdefault(alert.ref, []).append(alert)
    return [
        Record(each, health_of.get(each.ref), tuple(alerts_of.get(each.ref, ())))
        for each in sorted(entities, key=lambda each: each.ref)
    ]


def path_of(ref: Ref) -> str:
    """An entity's name as commands take it: `pod/shop/cart-7f`, `node/n3`."""
    return f"{ref.kind}/{ref.namespace}/{ref.name}" if ref.namespace else f"{ref.kind}/{ref.name}"
