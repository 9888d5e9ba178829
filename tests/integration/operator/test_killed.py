"""An operator that is killed after any of its writes, again and again, ends in the same objects."""

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from kgents_operator import operate
from support.kube_api import KubeApi
from support.operated import NAMESPACE, Site, operating
from support.operated_qdrant import QdrantSite
from support.operated_redis import RedisSite
from support.waiting import eventually

pytestmark = [pytest.mark.timeout(240), pytest.mark.parametrize("api", ["fake"], indirect=True)]
BACKUP: dict[str, Any] = {"backup": {"enabled": True, "schedule": "@daily", "destination": {"claimName": "nas"}}}
WHOLE: dict[type[Site], dict[str, Any]] = {
    Site: BACKUP,
    RedisSite: BACKUP | {"replicas": 2},
    QdrantSite: BACKUP | {"replicas": 2, "collections": [{"name": "articles", "dimensions": 3}]},
}
ADDED = {Site: "founded", RedisSite: "copies", QdrantSite: "peers"}
"""What the configuration says once the first server answers, or others have volumes: the last that is made."""
QUIET = 200
"""So many turns of the loop without a write: what is made next waits for controllers."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operate, "TOGETHER_S", 0.001)
    monkeypatch.setattr(operate, "FIRST_S", 0.05)


def written(api: KubeApi) -> int:
    return len([call for call in api.calls if call.verb in ("create", "patch", "update")])


def is_whole(asked: Site) -> bool:
    if not asked.is_ready():
        return False
    config = asked.api.get("configmaps", NAMESPACE, f"{asked.default}-config")
    return bool(config["data"][ADDED[type(asked)]])


async def until_written(asked: Site, number: int) -> bool:
    """Whether there were so many writes before there was nothing more to do."""
    last, quiet = 0, 0
    while (found := written(asked.stand_in)) < number:
        await asyncio.sleep(0)
        last, quiet = (found, quiet + 1) if found == last else (found, 0)
        if quiet >= QUIET:
            quiet = 0
            if is_whole(asked):
                return False
    return True


@pytest.mark.parametrize("kind", WHOLE, ids=lambda each: each.plural)
async def test_an_operator_that_is_killed_after_any_write_ends_in_the_same(
    site: Site, kubeconfig: Path, kind: type[Site]
) -> None:
    asked = kind(site.api, site.client)
    await asked.create(**WHOLE[kind])
    async with operating(kubeconfig):
        await eventually(lambda: is_whole(asked))
    expected = asked.children()
    await asked.delete()
    asked.controllers.act()
    for resource in ("persistentvolumeclaims", "secrets"):
        for name in asked.names(resource):
            asked.stand_in.delete(resource, NAMESPACE, name)
    await asked.create(**WHOLE[kind])
    for number in count(1):
        asked.stand_in.calls.clear()
        async with operating(kubeconfig):
            if not await until_written(asked, number):
                break
    assert number > 10, "each life was longer by one write"
    assert asked.children() == expected
