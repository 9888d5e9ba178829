"""Which alerts a silence would match now, before anyone confirms it. Pure."""

from collections.abc import Iterable

from kgents_cli.ui.item import Item
from kgents_cli.ui.world import World
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.silence import Matcher


def count(world: World, cluster: str, matchers: Iterable[Matcher]) -> int:
    """How many alerts are pending or firing that all of these matchers take. They compare with equal values alone."""
    wanted = {each.field: each.value for each in matchers}
    if incident := wanted.get("incident"):
        return sum(each.affected_count for each in world.incidents.values() if each.id == incident)
    items = (item for item in world.items.values() if item.ref.cluster == cluster)
    return sum(_fields(item, each).items() >= wanted.items() for item in items for each in item.alerts)


def _fields(item: Item, alert: Alert) -> dict[str, str]:
    ref = item.ref
    return {
        "namespace": ref.namespace,
        "kind": ref.kind,
        "name": ref.name,
        "check": alert.check,
        "severity": alert.severity,
    }
