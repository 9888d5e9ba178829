"""What drift becomes over a restart, and beside manifests that cannot be read."""

from datetime import UTC, datetime, timedelta
from typing import Any

from kgents_collector_k8s.drifting import Drifting, ManifestSet
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.kubernetes.desired.drift import Live, Observed
from kgents_shared.kubernetes.desired.manifests import manifests

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CART = Ref("prod", "service", "cart", "shop")
OTHER = Ref("prod", "service", "other", "shop")
MARK = {"app.kubernetes.io/instance": "shop"}


def desired(name: str, *names: str) -> ManifestSet:
    """A set that states these Services, each with a label."""
    objects = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": each, "labels": MARK | {"team": "web"}}}
        for each in names
    ]
    return ManifestSet(name, manifests(objects, namespace="shop", file="a.yaml"))


def cluster(**labels: dict[str, str]) -> Live:
    """Services with these labels beside that of their set."""
    refs = {Ref("prod", "service", name, "shop"): MARK | each for name, each in labels.items()}
    return Live("prod", {ref: Observed(ref, each) for ref, each in refs.items()}, lambda _: "")


def said(drifting: Drifting, ref: Ref) -> dict[str, Any]:
    """What the entity says of its drift."""
    return drifting.added_to(Entity(ref=ref, source="k8s")).attributes


def test_a_restart_changes_nothing_of_what_is_published() -> None:
    before = Drifting("prod", 900, ())
    sets, live = [desired("shop", "cart", "gone")], cluster(cart={"team": "db"})
    for minutes in (0, 15):
        before.compare(sets, live, NOW + timedelta(minutes=minutes))
    published = [before.added_to(Entity(ref=CART, source="k8s")), *before.entities()]
    assert said(before, CART) == {
        "kgents.k8s.drift": "label team: expected web, found db",
        "kgents.k8s.drift.since": "2026-01-01T12:00:00Z",
    }
    assert published[1].attributes["kgents.k8s.drift"] == "missing: service/shop/gone"

    after = Drifting("prod", 900, published)
    assert after.added_to(Entity(ref=CART, source="k8s")) == published[0]
    assert CART not in after.compare(sets, live, NOW + timedelta(hours=1))
    assert after.added_to(Entity(ref=CART, source="k8s")) == published[0]
    of_set = next(after.entities()).attributes
    assert of_set == {"kgents.k8s.drift": None, "kgents.k8s.drift.since": "2026-01-01T12:15:00Z"}


def test_beside_a_set_that_cannot_be_read_nothing_is_extra() -> None:
    """What no other manifest states may be stated there."""
    drifting = Drifting("prod", 0, ())
    live = cluster(cart={"team": "web"}, other={"team": "web"})
    unreadable = ManifestSet("others", fault="expected YAML")
    drifting.compare([desired("shop", "cart"), unreadable], live, NOW)
    assert said(drifting, CART) == {"kgents.k8s.drift": "none"}
    assert said(drifting, OTHER) == {"kgents.k8s.drift": None}
    status = {each.ref.name: (each.status, each.reason) for each in drifting.entities()}
    assert status == {"shop": ("running", ""), "others": ("unknown", "expected YAML")}

    drifting.compare([desired("shop", "cart")], live, NOW)
    assert str(said(drifting, OTHER)["kgents.k8s.drift"]).startswith("no manifest states it")


def test_what_no_manifest_states_any_more_says_nothing_of_drift() -> None:
    drifting = Drifting("prod", 0, ())
    live = cluster(cart={"team": "web"})
    drifting.compare([desired("shop", "cart")], live, NOW)
    assert drifting.compare([ManifestSet("shop", manifests([], namespace="", file=""))], live, NOW) == {CART}
    assert said(drifting, CART) == {}
