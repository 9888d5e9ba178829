"""deploy/nats/kubernetes: its pods, and the files of `kgents edge` that they start with."""

import json
import re
import shlex
import subprocess
from base64 import b64decode
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from release.kubernetes import OVERLAYS
from support.edge_site import Authority, ConfiguredServer, command
from support.kube_schemas import VERSIONS, faults
from support.ports import free_port
from support.programs import need
from support.rendered import kustomized, named, not_restricted, pods

NATS: Final = OVERLAYS.parent / "nats/kubernetes"


@pytest.mark.parametrize("place", ["hub", "edge"])
def test_a_nats_of_a_hub_or_an_edge_is_restricted_and_each_version_of_kubernetes_takes_it(place: str) -> None:
    objects = kustomized(NATS / place)
    assert [fault for each in objects for version in VERSIONS for fault in faults(each, version)] == []
    (found,) = pods(objects).items()
    assert list(not_restricted(*found)) == []
    assert ("PodDisruptionBudget", "nats") in named(objects)
    assert {each["metadata"]["namespace"] for each in objects} == {"kgents"}


@pytest.mark.parametrize("place", ["hub", "edge"])
async def test_the_files_of_edge_init_are_those_that_its_pod_starts_with(place: str, tmp_path: Path) -> None:
    """The Secrets by the lines of docs/deploy.md, mounted as the pod has them; only the two folders are elsewhere."""
    hub, edge, authority = tmp_path / "hub", tmp_path / "edge-prod-eu", Authority()
    command("edge", "init", hub, "--host", "nats.kgents.svc", "--container")
    named_host = ("--host", "nats.kgents.svc", "--container")
    command("edge", "new", "prod-eu", "--hub", hub, "--url", "tls://localhost:7422", "--dir", edge, *named_host)
    directory = {"hub": hub, "edge": edge}[place]
    authority.issue(directory, "localhost", "nats.kgents.svc")
    (spec,) = pods(kustomized(NATS / place)).values()
    (container,) = spec["containers"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    state = tmp_path / "state"
    state.mkdir()
    files = project(spec["volumes"][0]["projected"], secrets_printed(tmp_path, directory.name), tmp_path / "mounted")
    for file in files.glob("*.conf"):
        text = file.read_text().replace(mounts["config"], str(files)).replace(mounts["data"], str(state))
        file.write_text(re.sub(r'"0\.0\.0\.0:\d+"', lambda _: f'"127.0.0.1:{free_port()}"', text))
    server = ConfiguredServer(files / container["args"][1].rpartition("/")[2].replace("$(POD_NAME)", "nats-0"))
    try:
        await server.start()
        (port,) = re.findall(r'http: "127\.0\.0\.1:(\d+)"', server.config.read_text())
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            async with httpx.AsyncClient() as client:
                answer = await client.get(f"http://127.0.0.1:{port}{container[probe]['httpGet']['path']}")
            assert answer.status_code == 200, (probe, answer.text)
        assert list(state.glob("*.pid"))
    finally:
        server.kill()


def secrets_printed(folder: Path, directory: str) -> dict[str, dict[str, bytes]]:
    """The Secrets that the lines of docs/deploy.md make of a directory: name → key → content."""
    page = (OVERLAYS.parents[1] / "docs/deploy.md").read_text()
    found: dict[str, dict[str, bytes]] = {}
    for line in re.findall(r"^kubectl -n kgents create secret generic nats.*$", page, re.MULTILINE):
        if directory in line or "nats-tls" in line:
            words = shlex.split(line.replace("=hub/", f"={directory}/"))
            command = [str(need("kubectl")), *words[1:], "--dry-run=client", "-o", "json"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            secret = json.loads(done.stdout)
            found[secret["metadata"]["name"]] = {key: b64decode(each) for key, each in secret["data"].items()}
    return found


def project(volume: dict[str, Any], secrets: dict[str, dict[str, bytes]], place: Path) -> Path:
    """A projected volume, as the kubelet makes it."""
    for source in volume["sources"]:
        keys = secrets[source["secret"]["name"]]
        for item in source["secret"].get("items") or [{"key": key, "path": key} for key in keys]:
            (place / item["path"]).parent.mkdir(parents=True, exist_ok=True)
            (place / item["path"]).write_bytes(keys[item["key"]])
    return place
