"""What is started on a Docker host, as Compose itself reads it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from kgents_cli.edge.creating import CONTAINER_AT, CONTAINER_STATE
from kgents_cli.installed import load_service, service_names
from kgents_shared.runtime.config import SERVICES, load
from support.programs import need

ROOT: Final = Path(__file__).parents[3]
COMPOSE: Final = ROOT / "deploy/compose"
PROFILES: Final = ("core", "docker", "databases", "observability", "archive", "otlp")
OWN: Final = "kgents-"
PROMETHEUS: Final = ROOT / "deploy/observability/prometheus/prometheus.yml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder as an operator has it, with a token."""
    shutil.copytree(COMPOSE, tmp_path / "compose")
    shutil.copytree(PROMETHEUS.parent, tmp_path / "observability/prometheus")
    (tmp_path / "compose/secrets").mkdir()
    (tmp_path / "compose/secrets/tokens").touch()
    return tmp_path / "compose"


def project(folder: Path, *profiles: str, files: tuple[str, ...] = (), **variables: str) -> dict[str, Any]:
    """The file, or several on top of each other, with everything resolved."""
    words = [word for each in files for word in ("--file", each)]
    words += [word for profile in profiles for word in ("--profile", profile)]
    command = [str(need("docker-compose")), *words, "config", "--format", "json"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), **variables}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_can_be_started_alone(folder: Path, profile: str) -> None:
    assert {"nats", "provision"} < set(project(folder, profile)["services"])


def test_every_service_that_needs_no_cluster_is_in_a_profile(folder: Path) -> None:
    found = set(project(folder, *PROFILES)["services"])
    # collector-host needs the network and the processes of the machine: a unit of systemd, or a container of its own.
    assert found - {"nats", "provision", "docker-proxy", "prometheus"} == set(SERVICES) - {
        "collector-k8s",
        "collector-host",
        "operator",
    }


def test_no_container_can_do_more_than_it_needs(folder: Path) -> None:
    for name, service in project(folder, *PROFILES)["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert (service.get("user") == "65532:65532") is (OWN in service["image"]), name
        assert {port["host_ip"] for port in service.get("ports", ())} <= {"127.0.0.1"}, name


def test_one_container_has_the_socket_of_the_engine_and_no_network(folder: Path) -> None:
    services = project(folder, *PROFILES)["services"]
    with_socket = [name for name, each in services.items() if "docker.sock" in json.dumps(each.get("volumes", []))]
    assert with_socket == ["docker-proxy"]
    assert services["docker-proxy"]["network_mode"] == "none"


def test_nats_is_reached_from_its_own_network_alone(folder: Path) -> None:
    found = project(folder, *PROFILES)
    assert "ports" not in found["services"]["nats"]
    assert list(found["services"]["nats"]["networks"]) == ["kgents"]
    assert found["networks"]["kgents"]["internal"] is True


def test_each_image_is_one_that_is_made_here_in_this_version(folder: Path) -> None:
    images = {each["image"] for each in project(folder, *PROFILES)["services"].values()}
    version = load_version()
    made = {f"{OWN}{path.parent.name}:{version}" for path in (ROOT / "services").glob("*/pyproject.toml")}
    assert {image for image in images if image.startswith(OWN)} <= made


def load_version() -> str:
    found = re.search(r'^version = "(.+)"', (ROOT / "shared/pyproject.toml").read_text(), re.MULTILINE)
    assert found
    return found[1]


def test_each_setting_is_one_of_its_service(folder: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((folder / "kgents.yaml").read_text())
    tokens = config["gateway"]["auth"]
    assert tokens["tokens_file"] == "/run/secrets/kgents/tokens"
    tokens["tokens_file"] = str(tmp_path / "tokens")
    subprocess.run(
        [sys.executable, "-m", "kgents_cli", "token", "me", "--file", tokens["tokens_file"]],
        check=True, capture_output=True,
    )  # fmt: skip
    path = tmp_path / "kgents.yaml"
    path.write_text(yaml.safe_dump(config))
    for name, service in project(folder, *PROFILES)["services"].items():
        if name in service_names():
            environ = {"HOME": "/", **service["environment"]}
            del environ["KGENTS_CONFIG"]
            load(name, load_service(name).config, path=path, environ=environ, services=list(SERVICES))


def test_as_a_hub_or_an_edge_each_service_has_its_own_key_and_no_other(folder: Path) -> None:
    files = ("compose.yaml", "compose.site.yaml")
    found = project(folder, *PROFILES, files=files, SITE="/site", CLUSTER="paris")
    for name, service in found["services"].items():
        if OWN not in service["image"]:
            continue
        paths = {each["target"]: found["secrets"][each["source"]]["file"] for each in service["secrets"]}
        assert paths["/run/secrets/kgents/nats.seed"] == f"/site/keys/{name}.nk"
        assert paths["/run/secrets/kgents/ca.pem"] == "/site/tls/ca.pem"
        assert [path for path in paths.values() if path.startswith("/site/keys/")] == [f"/site/keys/{name}.nk"]
        environ = service["environment"]
        assert (environ["KGENTS__CLUSTER"], environ["KGENTS__NATS__URL"]) == ("paris", "tls://nats:4222")
        assert set(paths) >= {environ["KGENTS__NATS__NKEY_SEED_FILE"], environ["KGENTS__NATS__TLS__CA_FILE"]}
    nats = found["services"]["nats"]
    assert "configs" not in nats, "the server without logins is not there"
    assert {each["target"]: each["source"] for each in nats["volumes"]} == {
        CONTAINER_AT: "/site", CONTAINER_STATE: "nats", "/data": "nats",
    }  # fmt: skip
    assert found["services"]["provision"]["configs"] == [{"source": "site", "target": "/etc/kgents/kgents.yaml"}]
    assert found["configs"]["site"]["file"] == "/site/kgents.yaml"


def test_with_the_databases_of_the_same_engine_the_collector_has_their_network_and_logins(
    folder: Path, tmp_path: Path
) -> None:
    databases = yaml.safe_load((ROOT / "deploy/databases/compose.yaml").read_text())
    found = project(folder, "databases", files=("compose.yaml", "compose.databases.yaml"))
    collector = found["services"]["collector-db"]
    assert found["networks"]["databases"] == {"name": f"{databases['name']}_default", "external": True, "ipam": {}}
    assert set(collector["networks"]) == {"kgents", "outside", "databases"}
    made = {Path(each["file"]).name for each in databases["secrets"].values()}
    used = {each["source"]: each["target"] for each in collector["secrets"]}
    assert {Path(found["secrets"][each]["file"]).name for each in used} <= made

    environ = {"HOME": "/", "KGENTS__CLUSTER": "docker"}
    for name, value in collector["environment"].items():
        if name.startswith("KGENTS__COLLECTOR_DB__"):
            environ[name] = str(tmp_path / Path(value).name) if value in used.values() else value
    for target in used.values():
        (tmp_path / Path(target).name).write_text("x")
    own = load_service("collector-db").config
    config = load("collector-db", own, path=folder / "kgents.yaml", environ=environ, services=list(SERVICES))[1]
    assert config.discovery.sources == ["docker"]
    of = config.discovery
    assert {each.user for each in (of.postgres, of.pgbouncer, of.redis)} == {"kgents"}
    assert (of.postgres.password.reveal(), of.qdrant.api_key.reveal()) == ("x", "x")


def test_the_configuration_of_nats_is_one() -> None:
    server = Path(sys.executable).with_name("nats-server")
    done = subprocess.run([server, "-t", "-c", COMPOSE / "nats.conf"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_prometheus_reads_each_service_and_expects_those_of_the_core_to_be_there(folder: Path) -> None:
    done = subprocess.run(
        [str(need("promtool")), "check", "config", str(PROMETHEUS)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    services = project(folder, *PROFILES)["services"]
    assert Path(config_of(folder, "prometheus")).read_bytes() == PROMETHEUS.read_bytes()
    assert Path(config_of(folder, "rules")).read_bytes() == (PROMETHEUS.parent / "rules.yml").read_bytes()
    ours = {name: each["profiles"] for name, each in services.items() if OWN in each["image"] and name != "provision"}
    expected, optional = yaml.safe_load(PROMETHEUS.read_text())["scrape_configs"]
    core = {name for name, profiles in ours.items() if "core" in profiles}
    assert set(expected["static_configs"][0]["targets"]) == {f"{name}:8080" for name in core}
    assert set(optional["dns_sd_configs"][0]["names"]) == set(ours) - core


def config_of(folder: Path, name: str) -> str:
    return str(project(folder, "observability")["configs"][name]["file"])


def test_the_configuration_of_the_proxy_is_one() -> None:
    command = [str(need("haproxy")), "-c", "-f", str(COMPOSE / "docker-proxy.cfg")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARN" not in done.stderr.upper()
