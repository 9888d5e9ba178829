"""The image of a service, built as `make images` does and run as production does, on a base made on the spot."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any, Final

import pytest
from packaging.utils import canonicalize_name

from compose_trial import compose_plugin, foreign_image, is_well, run
from release.__main__ import build
from release.closure import ROOT, environment_of
from release.packages import Release, digest
from support.base_image import NAME as BASE
from support.base_image import base_archive
from support.docker_engine import Api, DockerEngine, NoEngineError, docker_engine
from support.edge_site import Authority, command
from support.ports import free_port
from support.programs import need
from support.redis_server import program_of
from support.waiting import eventually_blocking

SERVICE: Final = "topology-builder"
UID: Final = 65532
"""Who runs in our images."""
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
def compose(engine: DockerEngine, tmp_path: Path) -> Mapping[str, str]:
    """The variables with which `docker compose` starts what it starts on the engine."""
    need("docker-compose")
    config = str(compose_plugin(tmp_path / "docker"))
    return {**os.environ, "DOCKER_CONFIG": config, "DOCKER_HOST": engine.url, "KGENTS_TAG": "1"}


@pytest.fixture
async def api(engine: DockerEngine) -> AsyncIterator[Api]:
    async with engine.api() as found:
        yield found


def test_compose_starts_a_service_of_a_hub_with_its_own_key_without_root_and_ends_it_in_order(
    release: Release, engine: DockerEngine, compose: Mapping[str, str], tmp_path: Path
) -> None:
    """By compose.site.yaml: NATS with TLS and the keys of `kgents edge init`, its streams, then the service, whose root
    is read-only, too. All profiles with all their images: `python -m compose_trial`."""
    release.packages("cli")
    build("cli", "kgents-cli:1", "0.1.0", "-H", engine.url, context=release.dist.parent, base=BASE)
    server = Path(sys.executable).with_name("nats-server")
    site = tmp_path / "hub"
    command("edge", "init", site, "--host", "nats", "--container")
    Authority().issue(site, "nats")
    for key in (site / "keys").iterdir():
        os.chown(key, UID, UID)
    environ = {
        **compose, "NATS_IMAGE": foreign_image(engine.url, {"nats-server": server}, "data", 0), "SITE": str(site),
        "CLUSTER": "hub", "LEAF_PORT": str(free_port()), "COMPOSE_FILE": "compose.yaml:compose.site.yaml:often.yaml",
    }  # fmt: skip
    folder = shutil.copytree(ROOT / "deploy/compose", tmp_path / "compose")
    asked_often = {"services": {SERVICE: {"healthcheck": {"interval": "1s"}}}}
    (folder / "often.yaml").write_text(json.dumps(asked_often))
    with composed(folder, environ, "--profile", "core", up=[SERVICE]):
        eventually_blocking(lambda: is_well(folder, ["--profile", "core"], environ), 60)
        run(["docker", "compose", "--profile", "core", "stop", SERVICE], folder, environ)
        (ended,) = run(["docker", "compose", "ps", "-a", "--format", "json", SERVICE], folder, environ).splitlines()
    assert json.loads(ended)["ExitCode"] == 0, ended


def test_compose_starts_a_redis_with_its_users_and_a_replica_of_it(
    engine: DockerEngine, compose: Mapping[str, str], tmp_path: Path
) -> None:
    programs = {"valkey-server": Path(program_of("valkey")), "valkey-cli": need("redis-cli")}
    environ = {**compose, "REDIS_IMAGE": foreign_image(engine.url, programs, "data", 999)}
    folder = shutil.copytree(ROOT / "deploy/databases", tmp_path / "databases")
    (folder / "secrets").mkdir()
    for name in ("app", "kgents", "replica", "backup"):
        (folder / "secrets" / name).write_text(f"for-{name}")
    (folder / "compose.override.yaml").write_text("services: {redis: {ports: !reset []}}")
    with composed(folder, environ, up=["redis-replica"]):
        asked = ["docker", "compose", "exec", "-T", "-e", "REDISCLI_AUTH=for-app", "redis-replica"]
        asked += ["valkey-cli", "--user", "app", "info", "replication"]
        eventually_blocking(lambda: "master_link_status:up" in run(asked, folder, environ), 60)


@contextmanager
def composed(folder: Path, environ: Mapping[str, str], *profiles: str, up: list[str]) -> Iterator[None]:
    """Services of a Compose file, and what they need, while the block runs."""
    try:
        run(["docker", "compose", *profiles, "up", "-d", *up], folder, environ, within_s=120)
        yield
    finally:
        run(["docker", "compose", *profiles, "down", "-v", "-t", "5"], folder, environ, within_s=120)


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
