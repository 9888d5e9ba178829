"""The shipped ClusterRole: enough for everything that is watched, and not one verb more."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.rights import role
from kgents_collector_k8s.source import ApiClient, ApiError
from kgents_shared.kubernetes.resource import path_of
from kgents_shared.runtime.clock import SystemClock
from support.kube_api import GATEWAY_API, KubeApi

SHIPPED = Path(__file__).parents[3] / "deploy" / "kubernetes" / "collector-k8s-clusterrole.yaml"


def requests(config: Config) -> list[tuple[str, dict[str, str]]]:
    """Every kind of request that the collector makes."""
    listed = [(path_of(kind), {"limit": "1"}) for kind in config.kinds]
    watched = [(path, {"watch": "1", "timeoutSeconds": "1", "resourceVersion": "1"}) for path, _ in listed]
    events = "/apis/events.k8s.io/v1/events"
    usage = "/apis/metrics.k8s.io/v1beta1"
    return [
        *listed,
        *watched,
        (events, {"limit": "1"}),
        (events, {"watch": "1", "timeoutSeconds": "1", "resourceVersion": "1"}),
        (f"{usage}/nodes", {}),
        (f"{usage}/pods", {}),
        ("/api/v1/namespaces/kube-system", {}),
    ]


async def refused(api: KubeApi, directory: Path, config: Config) -> list[str]:
    found = []
    async with ApiClient(api.kubeconfig(directory / "kubeconfig"), "", SystemClock()) as client:
        for path, params in requests(config):
            try:
                await client.get_bytes(path, params)
            except ApiError as error:
                if error.status not in (404, 410):
                    found.append(path)
    return found


def fewer(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """The role without one verb on one resource, in every way."""
    roles = []
    for index, rule in enumerate(whole["rules"]):
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                less = deepcopy(whole)
                others = [each for each in rule["resources"] if each != resource]
                kept = [each for each in rule["verbs"] if each != verb]
                less["rules"][index : index + 1] = [
                    rule | {"resources": names, "verbs": verbs}
                    for names, verbs in ((others, rule["verbs"]), ([resource], kept))
                    if names and verbs
                ]
                roles.append(less)
    return roles


def test_the_shipped_role_is_what_the_default_configuration_needs() -> None:
    assert yaml.safe_load(SHIPPED.read_text(encoding="utf-8")) == role(Config()), (
        f"try `python -m kgents_collector_k8s.rights > {SHIPPED}`"
    )


def test_it_allows_nothing_on_secrets_and_configmaps_and_no_change() -> None:
    rules = role(Config())["rules"]
    assert not {"secrets", "configmaps"} & {name for rule in rules for name in rule["resources"]}
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list", "watch"}


async def test_it_is_enough(tmp_path: Path) -> None:
    async with KubeApi() as api:
        api.register(*GATEWAY_API)
        api.authorize(role(Config()))
        assert await refused(api, tmp_path, Config()) == []


@pytest.mark.parametrize("less", fewer(role(Config())))
async def test_without_any_one_verb_something_is_refused(tmp_path: Path, less: dict[str, Any]) -> None:
    async with KubeApi() as api:
        api.register(*GATEWAY_API)
        api.authorize(less)
        assert len(await refused(api, tmp_path, Config())) >= 1
