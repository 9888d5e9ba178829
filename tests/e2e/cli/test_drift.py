"""`kgents drift` against a small shop, as a pipeline would run it."""

import json
from pathlib import Path

import pytest
from nats.aio.client import Client

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread
from support.kgents_command import Kgents, publish
from support.shop import DEPLOYMENT, SERVICE, entity

LABELS = {"app.kubernetes.io/instance": "shop"}
MANIFESTS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, labels: {app.kubernetes.io/instance: shop}}
spec:
  replicas: 2
  template: {spec: {containers: [{name: main, image: "shop/cart:2", env: [{name: A, value: CANARY}]}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: cart}}
---
{apiVersion: v1, kind: Secret, metadata: {name: login}, stringData: {password: CANARY}}
"""


@pytest.fixture
def deploy(tmp_path: Path) -> str:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "shop.yaml").write_text(MANIFESTS)
    return str(tmp_path / "deploy")


def cart(image: str) -> TopologyEntity:
    attributes = {"k8s.deployment.desired_pods": 2, "kgents.k8s.workload.images": [f"main={image}"]}
    return entity(DEPLOYMENT, labels=LABELS, attributes=attributes)


async def test_drift_is_an_exit_code_and_its_reasons(client: Client, kgents: Kgents, deploy: str) -> None:
    for each in (cart("shop/cart:2"), entity(SERVICE)):
        await publish(client, each)
    code, out, err = await kgents("drift", deploy, "-n", "shop")
    assert (code, out) == (0, "")
    assert f"manifests of {deploy} and cluster prod: 1 not compared, 2 in line" in err

    await publish(client, cart("shop/cart:1"))
    code, out, err = await kgents("drift", deploy, "-n", "shop")
    assert code == 1
    assert "different  deployment/shop/cart  image main: expected shop/cart:2, found shop/cart:1" in out
    code, out, err = await kgents("drift", deploy, "-n", "shop", "-o", "json")
    assert [each["state"] for each in json.loads(out)] == ["different", "not compared", "in line"]
    assert "CANARY" not in out + err

    source = entity(Ref("prod", "source", "k8s"), unread=[Unread(reason="403 Forbidden")])
    await publish(client, source)
    code, out, _ = await kgents("drift", deploy, "-n", "shop")
    assert (code, "unknown  deployment/shop/cart  stale: no report from k8s" in out) == (2, True)


async def test_without_an_answer_the_exit_code_is_that_of_not_known(
    client: Client, kgents: Kgents, deploy: str
) -> None:
    code, out, err = await kgents("drift", deploy)
    assert (code, out) == (2, "")
    assert "no object of a Kubernetes cluster is published" in err
    code, _, err = await kgents("drift", f"{deploy}/nothing")
    assert (code, "expected a file or a directory" in err) == (2, True)
