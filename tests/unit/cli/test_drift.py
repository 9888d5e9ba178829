"""Manifests and a live topology → findings, without a server."""

from collections.abc import Iterable

import pytest
import yaml

from kgents_cli.commands.drift import live_of
from kgents_shared.contract.attestation import ATTESTED, Attestation
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from kgents_shared.contract.unread import Unread
from kgents_shared.kubernetes.desired.drift import Finding, Live, drift, sentence, unmarked
from kgents_shared.kubernetes.desired.manifests import Manifest, manifests
from kgents_shared.view.entity import EntityView, Rows, key_of_ref

CART = Ref("prod", "deployment", "cart", "shop")
HPA = Ref("prod", "horizontalpodautoscaler", "cart", "shop")
DESIRED = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop, labels: {app.kubernetes.io/instance: shop, team: web}}
spec:
  replicas: 2
  template:
    spec:
      containers: [{name: main, image: "shop/cart:2", env: [{name: PASSWORD, value: CANARY}]}]
"""
IMAGES = "kgents.k8s.workload.images"
DESIRED_PODS = "k8s.deployment.desired_pods"


def desired(text: str = DESIRED) -> list[Manifest]:
    return manifests(yaml.safe_load_all(text), namespace="default", file="a.yaml")


def running(ref: Ref = CART, **fields: object) -> TopologyEntity:
    return TopologyEntity(**{"text": "t", "ref": ref, "status": "running", "sources": ["k8s"], **fields})  # type: ignore[arg-type]


def cart(image: str = "shop/cart:2", replicas: int = 2, labels: dict[str, str] | None = None) -> TopologyEntity:
    named = {"app.kubernetes.io/instance": "shop", "team": "web"} if labels is None else labels
    return running(CART, attributes={IMAGES: [f"main={image}"], DESIRED_PODS: replicas}, labels=named)


def live(*entities: TopologyEntity, attestation: Attestation = ATTESTED) -> Live:
    views = (EntityView(key_of_ref(each.ref), Rows(encode(each)), attestation) for each in entities)
    return live_of("prod", views, attestation)


def unread(**scope: str) -> Attestation:
    return Attestation({("prod", "k8s"): [Unread(**scope, reason="403 Forbidden")]})  # type: ignore[arg-type]


def states(found: Iterable[Finding]) -> dict[str, str]:
    return {each.ref.name: each.state for each in found}


def test_what_is_as_stated_is_in_line() -> None:
    assert states(drift(desired(), live(cart()))) == {"cart": "in line"}


@pytest.mark.parametrize(
    ("entity", "words"),
    [
        (cart(image="shop/cart:1"), "image main: expected shop/cart:2, found shop/cart:1"),
        (cart(replicas=5), "replicas: expected 2, found 5"),
        (cart(labels={"app.kubernetes.io/instance": "shop"}), "label team: expected web, found none"),
    ],
)
def test_each_field_that_differs_is_named(entity: TopologyEntity, words: str) -> None:
    [found] = drift(desired(), live(entity))
    assert (found.state, sentence(found)) == ("different", words)


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ("nginx", "nginx:latest"),
        ("nginx:1", "docker.io/library/nginx:1"),
        ("a/b:1@sha256:c", "docker.io/a/b:1@sha256:c"),
    ],
)
def test_an_image_in_another_spelling_is_the_same(stated: str, found: str) -> None:
    assert states(drift(desired(DESIRED.replace("shop/cart:2", stated)), live(cart(image=found)))) == {
        "cart": "in line"
    }


def test_replicas_that_an_autoscaler_decides_are_no_drift() -> None:
    scales = ResolvedConnection(kind="scales", peer=CART)
    scaler = running(HPA, connections=[scales])
    assert states(drift(desired(), live(cart(replicas=5), scaler)))["cart"] == "in line"
    manifest = DESIRED + (
        "---\n{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: cart, namespace: shop},"
        " spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: cart}}}"
    )
    assert states(drift(desired(manifest)[:1], live(cart(replicas=5))))["cart"] == "different"
    assert [each.state for each in drift(desired(manifest), live(cart(replicas=5))) if each.ref == CART] == ["in line"]


def test_replicas_are_not_known_while_autoscalers_are_not_read() -> None:
    [found] = drift(desired(), live(cart(replicas=5), attestation=unread(kind=HPA.kind)))
    assert (found.state, found.fields[0].field) == ("unknown", "replicas")


OTHER = running(Ref("prod", "deployment", "web", "shop"), labels={"app.kubernetes.io/instance": "shop"})


def test_what_no_manifest_states_is_extra_if_it_is_marked_and_has_no_owner() -> None:
    assert states(drift(desired(), live(cart(), OTHER))) == {"cart": "in line", "web": "extra"}
    owned = running(OTHER.ref, labels=OTHER.labels, connections=[ResolvedConnection("owns", CART, "in")])
    foreign = running(OTHER.ref, labels={"app.kubernetes.io/instance": "other"})
    elsewhere = running(Ref("prod", "deployment", "web", "kube-system"), labels=OTHER.labels)
    kind = running(Ref("prod", "statefulset", "web", "shop"), labels=OTHER.labels)
    for each in (owned, foreign, elsewhere, kind):
        assert states(drift(desired(), live(cart(), each))) == {"cart": "in line"}
    assert unmarked(desired(DESIRED.replace("app.kubernetes.io/instance", "app")))


def test_a_claim_that_a_statefulset_makes_for_its_pods_is_not_extra() -> None:
    manifest = (
        "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, namespace: shop, labels: "
        "{app.kubernetes.io/instance: shop}}, spec: {volumeClaimTemplates: [{metadata: {name: data}}]}}\n---\n"
        "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: shared, namespace: shop}}"
    )
    claims = [
        running(Ref("prod", "volume", name, "shop"), labels={"app.kubernetes.io/instance": "shop"})
        for name in ("data-db-0", "stray", "shared")
    ]
    found = states(drift(desired(manifest), live(running(Ref("prod", "statefulset", "db", "shop")), *claims)))
    assert (found.get("data-db-0"), found["stray"], found["shared"]) == (None, "extra", "in line")


def test_what_is_gone_is_missing() -> None:
    [found, _] = drift(desired(), live(OTHER))
    assert (found.ref, found.state) == (CART, "missing")


@pytest.mark.parametrize(
    "known",
    [
        live(OTHER, attestation=unread()),
        live(OTHER, attestation=unread(namespace="shop")),
        live(OTHER, attestation=unread(kind="deployment")),
        live(running(Ref("prod", "pod", "x", "shop"))),  # no deployment of this cluster is read
        live(running(Ref("prod", "deployment", "x", "other"))),  # this namespace is not read
        live(cart(), attestation=unread()),  # stale
    ],
)
def test_what_is_not_observed_is_unknown(known: Live) -> None:
    assert {each.ref: each.state for each in drift(desired(), known)}[CART] == "unknown"


def test_images_that_the_topology_does_not_have_are_unknown() -> None:
    [found] = drift(desired(), live(running(labels=cart().labels, attributes={DESIRED_PODS: 2})))
    assert (found.state, "images" in found.why) == ("unknown", True)


def test_what_kgents_does_not_read_is_not_compared() -> None:
    text = "---\n".join(
        f"{{apiVersion: {version}, kind: {kind}, metadata: {{name: x}}, data: {{a: CANARY}}}}\n"
        for version, kind in (("v1", "Secret"), ("v1", "ConfigMap"), ("rbac.authorization.k8s.io/v1", "Role"))
    )
    found = drift(desired(text), live(cart()))
    assert {each.state for each in found} == {"not compared"}
    assert b"CANARY" not in encode_all(found)


def encode_all(found: list[Finding]) -> bytes:
    return b"".join(map(str.encode, map(repr, found)))


def test_two_manifests_of_one_object_are_not_decided_between() -> None:
    assert states(drift(desired(DESIRED + "---" + DESIRED), live(cart()))) == {"cart": "unknown"}


def test_a_list_is_unfolded_and_what_is_no_manifest_is_passed_over() -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": list(yaml.safe_load_all(DESIRED))}
    found = manifests([listed, {"image": "x"}, "text", None], namespace="default", file="a")
    assert found == manifests(yaml.safe_load_all(DESIRED), namespace="default", file="a")
    assert b"CANARY" not in repr(found).encode()
