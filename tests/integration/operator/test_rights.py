"""The operator's role: enough for a life of every kind, nothing that no life uses, and what is missing is named."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kgents_operator import operate
from kgents_operator.config import Config
from kgents_operator.rights import roles
from support.operated import NAMESPACE, Site, operating, postgres, serve_cloudnativepg
from support.operated_qdrant import QdrantSite, qdrant
from support.operated_redis import RedisSite, redis
from support.waiting import eventually

pytestmark = [pytest.mark.timeout(120), pytest.mark.parametrize("api", ["fake"], indirect=True)]
BACKUP: dict[str, Any] = {"backup": {"enabled": True, "schedule": "@daily", "destination": {"claimName": "nas"}}}
FOR_ALL = ("secrets", "configmaps", "services")
RUN = ("networkpolicies.networking.k8s.io", "statefulsets.apps")
ORDERS: dict[type[Site], tuple[str, ...]] = {
    Site: (*FOR_ALL, "statefulsets.apps", "deployments.apps", "poddisruptionbudgets.policy", "cronjobs.batch"),
    RedisSite: (*FOR_ALL, *RUN, "poddisruptionbudgets.policy", "cronjobs.batch"),
    QdrantSite: (*FOR_ALL, *RUN, "poddisruptionbudgets.policy", "deployments.apps", "cronjobs.batch"),
}
"""What each kind creates, as its order first needs it."""
SPECS: dict[type[Site], dict[str, Any]] = {
    Site: BACKUP,
    RedisSite: BACKUP | {"replicas": 2},
    QdrantSite: BACKUP | {"replicas": 2, "collections": [{"name": "articles", "dimensions": 3}]},
}
ONLY_PATCHED = (
    "persistentvolumeclaims", "postgresclusters.kgents.io", "redisclusters.kgents.io", "qdrantclusters.kgents.io",
)  # fmt: skip


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operate, "TOGETHER_S", 0.01)
    monkeypatch.setattr(operate, "FIRST_S", 0.05)
    monkeypatch.setattr(operate, "LONGEST_S", 0.2)


def says(site: Site, words: str) -> bool:
    site.controllers.act()
    return words in site.message("Accepted")


@pytest.mark.parametrize("kind", [Site, RedisSite, QdrantSite], ids=lambda each: each.plural)
async def test_the_role_is_enough_and_each_right_that_is_missing_is_named(
    site: Site, kubeconfig: Path, kind: type[Site]
) -> None:
    asked = kind(site.api, site.client)
    await asked.create(**SPECS[kind])
    for each in roles(Config()):
        site.stand_in.authorize(each, *([each["metadata"]["namespace"]] if "namespace" in each["metadata"] else []))
    for forbidden in ORDERS[kind]:
        site.stand_in.forbid(forbidden, ["create"])
    async with operating(kubeconfig):
        for resource in ORDERS[kind]:
            await eventually(partial(says, asked, f'resource "{resource.partition(".")[0]}"'))
            assert asked.condition("Accepted") == ("Unknown", "NotApplied")
            site.stand_in.permit(resource)
        await eventually(asked.is_ready)
        await eventually(lambda: asked.condition("Accepted") == ("True", "Applied"))


def rights(role: dict[str, Any]) -> set[tuple[str, str]]:
    """Resource and verb, of each right. What is read of a status is read of its resource."""
    return {
        (f"{resource.partition('/')[0]}{f'.{group}' if group else ''}", verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


async def test_the_role_has_no_right_that_a_whole_life_does_not_use(site: Site, kubeconfig: Path) -> None:
    role = roles(Config())[0]
    site.stand_in.watch_list = False  # a server without it is asked for lists
    site.stand_in.authorize(role)
    serve_cloudnativepg(site)
    for name, spec in (("orders", BACKUP), ("big", {"replicas": 3})):
        site.stand_in.create(postgres(name, **spec))
    for paused in (redis(), qdrant()):
        paused["metadata"]["annotations"] = {"kgents.io/paused": "true"}
        site.stand_in.create(paused)
    async with operating(kubeconfig):
        await eventually(site.is_ready)
        await eventually(lambda: site.names("poolers.postgresql.cnpg.io") == ["big-pooler"])
        site.api.patch("postgresclusters.kgents.io", NAMESPACE, "big", {"spec": {"pooler": {"enabled": False}}})
        less = {"pooler": {"enabled": False}, "backup": {"enabled": False}, "storage": {"size": "2Gi"}}
        site.api.patch("postgresclusters.kgents.io", NAMESPACE, "orders", {"spec": less})
        await eventually(lambda: site.names("poolers.postgresql.cnpg.io") == site.names("cronjobs.batch") == [])
        await eventually(lambda: site.names("deployments.apps") == site.names("poddisruptionbudgets.policy") == [])
        await eventually(lambda: len(site.names("networkpolicies.networking.k8s.io")) == 1)
        await eventually(site.is_ready)
    used = {(call.resource, call.verb) for call in site.stand_in.calls if call.resource}
    # An apply of what is absent is a patch that needs the right to create as well.
    used |= {(resource, "create") for resource, verb in used if verb == "patch" and resource not in ONLY_PATCHED}
    assert rights(role) - used == set()
