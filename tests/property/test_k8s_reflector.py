"""Whatever goes wrong between a reflector and its server, what it tells ends in what the server holds."""

import asyncio
import random
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from kgents_collector_k8s.mapping import CATALOGUE
from kgents_collector_k8s.objects.pod import Pod
from kgents_collector_k8s.source import ApiClient, Key, Reflector
from kgents_shared.kubernetes import client, reflector, resource, retry, stream
from kgents_shared.runtime.clock import SystemClock
from support import kube_objects
from support.kube_api import Faults, KubeApi
from support.kube_backups import Backups
from support.running import running
from support.waiting import eventually

PODS = next(kind for kind in CATALOGUE if kind.resource == "pods")
SEEDS = 12
CHANGES = 80
NAMES = [f"cart-{number}" for number in range(25)]


class Told:
    """What a reflector says, folded."""

    def __init__(self) -> None:
        self.uids: dict[Key, str] = {}
        self.labels: dict[Key, str] = {}

    def known(self) -> Collection[Key]:
        return self.uids.keys()

    def put(self, key: Key, found: Pod) -> None:
        self.uids[key] = found.metadata.uid
        self.labels[key] = (found.metadata.labels or {}).get("step", "")

    def drop(self, key: Key, uid: str) -> None:
        if self.uids.get(key) == uid:
            del self.uids[key], self.labels[key]

    async def complete(self, keys: Collection[Key]) -> None:
        for key in self.uids.keys() - set(keys):
            del self.uids[key], self.labels[key]

    def wants_more(self) -> bool:
        return False

    def equals(self, api: KubeApi) -> bool:
        pods: list[dict[str, Any]] = [pod["metadata"] for pod in api.objects("pods")]
        uids = {(pod["namespace"], pod["name"]): pod["uid"] for pod in pods}
        labels = {(pod["namespace"], pod["name"]): pod.get("labels", {}).get("step", "") for pod in pods}
        return (self.uids, self.labels) == (uids, labels)


def change(api: KubeApi, dice: random.Random, step: int) -> None:
    """One thing that happens in a cluster: made, changed, gone, or made anew under the same name."""
    name = dice.choice(NAMES)
    exists = any(pod["metadata"]["name"] == name for pod in api.objects("pods", "shop"))
    if exists and dice.random() < 0.5:
        api.patch("pods", "shop", name, {"metadata": {"labels": {"step": str(step)}}})
        return
    if exists:
        api.delete("pods", "shop", name)
    if not exists or dice.random() < 0.5:
        api.create(kube_objects.pod(name, "shop"))


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same program, with less patience."""
    monkeypatch.setattr(stream, "IDLE_S", 0.3)
    monkeypatch.setattr(client, "CONNECT_S", 0.3)
    monkeypatch.setattr(client, "HEAD_S", 0.3)
    monkeypatch.setattr(client, "ANSWER_S", 1.0)
    monkeypatch.setattr(client, "RELOGIN_S", 0.0)
    monkeypatch.setattr(retry, "BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr(retry, "BACKOFF_MAX_S", 0.05)
    monkeypatch.setattr(retry, "PARK_S", 0.05)
    monkeypatch.setattr(reflector, "SHORT_S", 0.01)
    monkeypatch.setattr(reflector, "CHECK_S", 0.2)
    monkeypatch.setattr(resource, "PAGE", 7)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.usefixtures("hurried")
async def test_any_schedule_of_faults_ends_in_what_the_server_holds(tmp_path: Path, seed: int) -> None:
    dice, told = random.Random(seed), Told()
    async with KubeApi() as api:
        api.create(kube_objects.namespace("shop"))
        for step in range(10):
            change(api, dice, step)
        kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
        async with ApiClient(kubeconfig, "", SystemClock()) as connection:
            watcher = Reflector(connection, PODS, told, SystemClock())
            watcher._streams_lists = seed % 2 == 0
            async with running(watcher.run()):
                api.faults, backups = Faults.mixed(seed), Backups(api)
                for step in range(CHANGES):
                    change(api, dice, step)
                    if dice.random() < 0.05:
                        api.compact()
                    backups.perhaps(dice)
                    await asyncio.sleep(dice.uniform(0, 0.02))
                api.faults = None
                await eventually(lambda: told.equals(api), within_s=15)
                api.delete("pods", "shop", next(iter(told.uids))[1])
                await eventually(lambda: told.equals(api))


@pytest.mark.usefixtures("hurried")
async def test_a_server_that_ends_every_watch_is_not_flooded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflector, "SHORT_S", 1.0)
    monkeypatch.setattr(stream, "IDLE_S", 30.0)
    monkeypatch.setattr(retry, "BACKOFF_FIRST_S", 0.1)
    monkeypatch.setattr(retry, "BACKOFF_MAX_S", 0.4)
    told = Told()
    async with KubeApi() as api:
        kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
        async with ApiClient(kubeconfig, "", SystemClock()) as connection:
            watcher = Reflector(connection, PODS, told, SystemClock())
            async with running(watcher.run()):
                await eventually(lambda: watcher.is_settled)
                # Until the watch is open: a connection that rests between two requests would outlive the server.
                api.create(kube_objects.namespace("shop"))
                api.create(kube_objects.pod("cart-1", "shop"))
                await eventually(lambda: told.equals(api))
                began_s = time.monotonic()
                await api.down()
                await asyncio.sleep(1.5)
                more_s = time.monotonic() - began_s - 1.5
                assert watcher._retries.total() <= 15 + 5 * more_s, "five times a second at most"
                assert watcher.fault.startswith("pods: ")
                await api.up()
                await eventually(lambda: not watcher.fault)
