"""What the pods of a QdrantCluster run, run here by a real shell and curl over TLS, with the stand-in for Qdrant.

The files, variables and commands are those of the objects that the operator applies; only paths and addresses are this
machine's. No Qdrant runs: its program is one that says how it was called.
"""

import asyncio
import base64
import os
import ssl
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kgents_operator.desired.outcome import STATEFULSET, Observed
from kgents_operator.desired.owner import Owner
from kgents_operator.desired.qdrant import desired
from kgents_operator.desired.qdrant_names import QdrantNames
from kgents_operator.images import Images
from kgents_operator.qdrant_credentials import made
from kgents_operator.resources.qdrant import QdrantCluster
from support.operated_qdrant import qdrant
from support.process import spawn
from support.qdrant_stub import QdrantStub
from support.waiting import eventually

pytestmark = pytest.mark.timeout(60)
OWNER = Owner("vectors", "shop", "u-1", "kgents.io/v1alpha1", "QdrantCluster")
SPEC: dict[str, Any] = {
    "collections": [{"name": "articles", "dimensions": 384}, {"name": "people", "dimensions": 3, "distance": "Dot"}],
    "backup": {"enabled": True, "schedule": "@daily", "destination": {"claimName": "nas"}, "keep": 2},
}
PEER = "vectors-0.vectors-nodes.shop.svc"
Json = dict[str, Any]


class Pods:
    """The Secrets and the ConfigMap of one QdrantCluster as folders, which its pods mount."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        spec = msgspec.convert(qdrant(**SPEC), QdrantCluster).spec
        wanted = desired(OWNER, spec, {}, Observed(), Images())
        self.objects = {(each["kind"], each["metadata"]["name"]): each for each in wanted.objects}
        for name in ("config", "secrets", "tls", "backups", "run", "data", "programs"):
            (folder / name).mkdir(parents=True)
        for name, text in self.objects["ConfigMap", "vectors-config"]["data"].items():
            (folder / "config" / name).write_text(text)
        for each in made(OWNER, QdrantNames("vectors", "shop"), spec, datetime.now(UTC)):
            login = each["metadata"]["name"].removeprefix("vectors-qdrant-")
            data = {key: base64.b64decode(value) for key, value in each["data"].items()}
            if login in ("tls", "credentials"):
                for key, value in data.items():
                    (folder / {"tls": "tls", "credentials": "secrets"}[login] / key).write_bytes(value)

    @property
    def key(self) -> str:
        return (self.folder / "secrets" / "api-key").read_text()

    def context(self) -> ssl.SSLContext:
        """The certificate of the peers."""
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        found.load_cert_chain(self.folder / "tls" / "tls.crt", self.folder / "tls" / "tls.key")
        return found

    def container(self, kind: str, name: str) -> Json:
        spec = self.objects[kind, name]["spec"]
        found: Json = spec.get("jobTemplate", {}).get("spec", spec)["template"]["spec"]["containers"][0]
        return found

    def environment(self, container: Json) -> dict[str, str]:
        """The variables that an object gives its container, on this machine."""
        found = {each["name"]: each["value"] for each in container["env"] if "value" in each}
        folders = {"CONFIG": "config", "SECRETS": "secrets", "TLS": "tls", "BACKUPS": "backups", "RUN": "run",
                   "DATA": "data"}  # fmt: skip
        found |= {name: str(self.folder / path) for name, path in folders.items() if name in found}
        return found | {"PATH": f"{self.folder}/programs:{os.environ['PATH']}"}

    def command(self, container: Json) -> list[str]:
        command, script = container["command"]
        return [command, str(self.folder / script.removeprefix("/"))]

    def resolve(self, port: int) -> None:
        """Let curl find the peers and their Service here, as the cluster's names do; their certificate is checked."""
        real = subprocess.run(
            ["sh", "-c", "command -v curl"], capture_output=True, text=True, check=True
        ).stdout.strip()
        script = self.folder / "programs" / "curl"
        script.write_text(f'#!/bin/sh\nexec {real} --connect-to "::127.0.0.1:{port}" "$@"\n')
        script.chmod(0o755)


@pytest.fixture
def pods(tmp_path: Path) -> Pods:
    return Pods(tmp_path)


@pytest.fixture
async def stub(pods: Pods) -> AsyncIterator[QdrantStub]:
    async with QdrantStub(api_key=pods.key, tls=pods.context()) as stub:
        pods.resolve(stub.port)
        yield stub


def started(pods: Pods, pod: str) -> subprocess.CompletedProcess[str]:
    """How a peer calls Qdrant."""
    program = pods.folder / "qdrant"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    container = pods.container(STATEFULSET, "vectors")
    return subprocess.run(
        pods.command(container), env=pods.environment(container) | {"HOSTNAME": pod}, cwd=pods.folder,
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_the_first_peer_founds_the_others_join_and_none_founds_a_second_cluster(pods: Pods) -> None:
    own = "--uri https://{}.vectors-nodes.shop.svc:6335\n"
    assert started(pods, "vectors-0").stdout == own.format("vectors-0")
    joined = f"--bootstrap https://{PEER}:6335 " + own.format("vectors-2")
    assert started(pods, "vectors-2").stdout == joined
    (pods.folder / "config" / "peers").write_text("data-vectors-1 data-vectors-2")
    refused = started(pods, "vectors-0")
    assert refused.returncode == 1
    assert "found none, and data-vectors-1 data-vectors-2 of other peers: not started" in refused.stderr
    (pods.folder / "config" / "peers").write_text("")
    (pods.folder / "config" / "founded").write_text("yes")
    assert "found none: not started" in started(pods, "vectors-0").stderr, "alone, too"
    (pods.folder / "data" / "storage" / "raft_state.json").write_text("{}")
    assert started(pods, "vectors-0").stdout == own.format("vectors-0"), "it has its data"


async def test_collections_are_made_where_they_are_not_and_none_is_changed(pods: Pods, stub: QdrantStub) -> None:
    stub.add("articles", points_count=7)
    container = pods.container("Deployment", "vectors-collections")
    log = pods.folder / "log"
    with log.open("wb") as out:
        process = spawn(
            pods.command(container), env=pods.environment(container) | {"EVERY_S": "0.1"}, stdout=out, stderr=out
        )
    try:
        await eventually(lambda: "people" in stub.collections)
        del stub.collections["people"]
        await eventually(lambda: "people" in stub.collections)
        shown = Path(f"/proc/{process.pid}/cmdline").read_text()
    finally:
        process.kill()
        process.wait(10)
    assert stub.asked == {"people": {"vectors": {"size": 3, "distance": "Dot"}, "replication_factor": 1}}
    assert stub.collections["articles"]["points_count"] == 7
    assert pods.key not in log.read_text() + shown


async def test_snapshots_are_whole_kept_in_number_and_leave_nothing_behind(pods: Pods, stub: QdrantStub) -> None:
    stub.add("articles")
    stub.add("people")
    backups = pods.folder / "backups"
    for day in (1, 2, 3):
        (backups / f"vectors-2026010{day}T000000Z").mkdir()
    (backups / "others-20260101T000000Z").mkdir()
    assert await copied(pods) == 0
    old, new, others = sorted(backups.iterdir(), key=lambda each: (each.name.startswith("others"), each.name))
    assert (old.name, others.name) == ("vectors-20260103T000000Z", "others-20260101T000000Z")
    found = {each.name: each.read_text() for each in (new / "vectors-0").iterdir()}
    assert found == {"articles.snapshot": "all points of articles", "people.snapshot": "all points of people"}
    assert stub.snapshots == {}

    stub.statuses["/collections/people/snapshots"] = 500
    assert await copied(pods) != 0
    assert sorted(each.name for each in backups.iterdir() if not each.name.endswith(".part")) == sorted(
        each.name for each in (old, new, others)
    )
    assert stub.snapshots == {}


async def copied(pods: Pods) -> int:
    """Run the job; returns its exit code. The stand-in answers meanwhile."""
    container = pods.container("CronJob", "vectors-backup")
    run = partial(subprocess.run, pods.command(container), env=pods.environment(container), timeout=30, check=False)
    return (await asyncio.to_thread(run)).returncode
