"""The image of a service, built as `make images` does and run as production does, on a base made on the spot."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any, Final

import pytest
from packaging.utils import canonicalize_name

from kgents_shared.bus.client import Bus
from release.__main__ import build
from release.closure import ROOT, environment_of
from release.packages import Release, digest
from support.base_image import NAME as BASE
from support.base_image import base_archive
from support.docker_engine import Api, DockerEngine, NoEngineError, docker_engine
from support.nats_server import NatsServer
from support.ports import free_port
from support.programs import need
from support.waiting import eventually

SERVICE: Final = "topology-builder"
WHAT_IS_THERE: Final = """
import importlib.metadata, json, os
files = [name for folder, _, names in os.walk("/") if not folder.startswith(("/proc", "/sys")) for name in names]
installed = sorted(each.name for each in importlib.metadata.distributions())
folders = ("/var/lib/kgents", "/opt/kgents", "/opt/kgents/kgents_shared")
writable = [path for path in folders if os.access(path, os.W_OK)]
print(json.dumps([installed, "secret.pem" in files, writable]))
"""
PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
DOCKERFILE: Final = ROOT / "deploy/images/Dockerfile"
pytestmark = pytest.mark.timeout(480)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    found = Release(environment_of(PYTHON), tmp_path_factory.mktemp("context") / "dist")
    found.wheels()
    return found


@pytest.fixture(scope="module")
def packages(release: Release) -> Path:
    return release.packages(SERVICE)


@pytest.fixture(scope="module")
def engine(release: Release, packages: Path) -> DockerEngine:
    """An engine with the image of the service."""
    try:
        found = docker_engine()
    except NoEngineError as error:
        pytest.skip(str(error))
    need("dockerd")
    context = release.dist.parent
    (context / "secret.pem").write_text("not for an image")
    shutil.copy(ROOT / ".dockerignore", context)
    asyncio.run(_import_base(found))
    build(SERVICE, f"kgents-{SERVICE}:1", "0.1.0", "-H", found.url, context=context, base=BASE)
    return found


async def _import_base(engine: DockerEngine) -> None:
    async with engine.api() as api:
        await api.import_image(base_archive(), BASE)


@pytest.fixture
async def api(engine: DockerEngine) -> AsyncIterator[Api]:
    async with engine.api() as found:
        yield found


async def test_a_service_runs_without_root_and_without_a_writable_root(api: Api, server: NatsServer, bus: Bus) -> None:
    second = 1_000_000_000
    id_ = await api.run(
        "service",
        Image=f"kgents-{SERVICE}:1",
        Cmd=[],
        Env=[f"KGENTS__NATS__URL={server.url}", f"KGENTS__PROBES__PORT={free_port()}"],
        Healthcheck={"Interval": second, "Timeout": 30 * second, "Retries": 100},
        StopTimeout=60,
        host={
            "NetworkMode": "host",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "Tmpfs": {"/var/lib/kgents": "mode=0700,uid=65532"},
        },
    )
    try:
        await eventually(lambda: _is_healthy(api, id_), within_s=60)
        await api.do(id_, "stop")
        ended = (await api.inspect(id_))["State"]
    finally:
        await api.remove(id_)
    assert ended["ExitCode"] == 0, ended


async def _is_healthy(api: Api, id_: str) -> bool:
    state = (await api.inspect(id_))["State"]
    assert state["Status"] == "running", state
    return bool(state["Health"]["Status"] == "healthy")


async def test_an_image_says_what_it_is_and_holds_no_secret_and_no_other_service(
    api: Api, engine: DockerEngine, packages: Path
) -> None:
    config = (await api.get(f"images/kgents-{SERVICE}:1/json"))["Config"]
    assert config["User"] == "65532:65532"
    assert config["Labels"]["org.opencontainers.image.title"] == f"kgents-{SERVICE}"
    assert config["Labels"]["org.opencontainers.image.version"] == "0.1.0"
    assert list(config["ExposedPorts"]) == ["8080/tcp"]
    command = ["docker", "-H", engine.url, "run", "--rm", "--network", "none", "--entrypoint", "python3"]
    done = subprocess.run([*command, f"kgents-{SERVICE}:1", "-c", WHAT_IS_THERE], capture_output=True, check=True)
    installed, has_secret, writable = json.loads(done.stdout)
    assert (has_secret, writable) == (False, ["/var/lib/kgents"])
    assert [name for name in installed if name.startswith("kgents-")] == ["kgents-shared", f"kgents-{SERVICE}"]
    assert sorted(installed) == sorted(name for name, _ in metadata(packages))


def metadata(packages: Path) -> set[tuple[str, str]]:
    """Name and version of what was installed."""
    found = (Distribution.at(path) for path in packages.glob("*.dist-info"))
    return {(each.name, each.version) for each in found}


def test_the_same_sources_make_the_same_image(release: Release, packages: Path) -> None:
    before = digest(packages)
    release.wheels()
    assert digest(release.packages(SERVICE)) == before


def test_what_is_in_an_image_is_listed(release: Release, packages: Path) -> None:
    need("cyclonedx-py")
    listed: dict[str, Any] = json.loads(release.contents(SERVICE).read_text())
    components = {(each["name"], each["version"]) for each in listed["components"]}
    assert listed["bomFormat"] == "CycloneDX"
    assert {(canonicalize_name(name), version) for name, version in components} == {
        (canonicalize_name(name), version) for name, version in metadata(packages)
    }
    hashes = [each for part in listed["components"] for ref in part["externalReferences"] for each in ref["hashes"]]
    assert {each["alg"] for each in hashes} == {"SHA-256"}


def test_the_dockerfile_has_no_fault_that_its_linter_knows() -> None:
    done = subprocess.run([need("hadolint"), DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
