"""deploy/databases for Kubernetes and Compose: hardened, probed, bounded, found by collector-db, without a secret."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kgents_collector_db.mapping.discovery import MARK, PORTS
from support.programs import find

FOLDER = Path(__file__).parents[2] / "deploy" / "databases"
WORKLOADS = {"development": {"redis", "qdrant"}, "production": {"redis", "redis-replica", "qdrant"}}
Document = dict[str, Any]


def rendered(overlay: str) -> list[Document]:
    """As `kubectl apply -k` sends it."""
    kubectl = find("kubectl") or shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("needs kubectl, which is not on this machine")
    done = subprocess.run(
        [str(kubectl), "kustomize", str(FOLDER / "kubernetes" / overlay)], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def faults_of_pod(template: Document, overlay: str) -> Iterator[str]:
    spec, labels = template["spec"], template["metadata"]["labels"]
    security = spec["securityContext"]
    if labels.get(MARK) not in PORTS:
        yield "no mark for collector-db"
    if not (security["runAsNonRoot"] and security["runAsUser"] and security["fsGroup"]):
        yield "may run as root"
    if security["seccompProfile"] != {"type": "RuntimeDefault"}:
        yield "no seccomp profile"
    if spec["enableServiceLinks"] or spec["automountServiceAccountToken"]:
        yield "gets what it does not need"
    for container in spec["containers"]:
        yield from faults_of_container(container)
        if overlay == "production" and "/tls" not in {each["mountPath"] for each in container["volumeMounts"]}:
            yield "without TLS"


def faults_of_container(container: Document) -> Iterator[str]:
    own = container["securityContext"]
    if own["allowPrivilegeEscalation"] or not own["readOnlyRootFilesystem"]:
        yield "may gain rights, or write its image"
    if own["capabilities"] != {"drop": ["ALL"]}:
        yield "has capabilities"
    if missing := {"startupProbe", "livenessProbe", "readinessProbe"} - container.keys():
        yield f"without {missing}"
    if not container["resources"]["requests"] or "memory" not in container["resources"]["limits"]:
        yield "without requests or a memory limit"
    for each in container["env"]:
        if "value" in each and re.search(r"KEY|PASS|TOKEN", each["name"]) and "TLS" not in each["name"]:
            yield f"{each['name']} is no reference"


@pytest.mark.parametrize("overlay", WORKLOADS)
def test_kubernetes_workloads_are_restricted_probed_and_reached_by_their_clients_alone(overlay: str) -> None:
    documents = rendered(overlay)
    workloads = {each["metadata"]["name"]: each for each in documents if each["kind"] == "StatefulSet"}
    assert set(workloads) == WORKLOADS[overlay]
    found = {name: list(faults_of_pod(each["spec"]["template"], overlay)) for name, each in workloads.items()}
    assert found == {name: [] for name in workloads}
    policies = [each["spec"] for each in documents if each["kind"] == "NetworkPolicy"]
    assert {} in [each["podSelector"] for each in policies], "no policy denies by default"
    selected = [each["podSelector"]["matchLabels"] for each in policies if each["podSelector"]]
    for each in workloads.values():
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert any(selector.items() <= labels.items() for selector in selected)
        assert each["spec"]["volumeClaimTemplates"]
    assert "Secret" not in {each["kind"] for each in documents}, "secrets are by reference"
    cluster = next(each for each in documents if each["kind"] == "Cluster")
    assert cluster["spec"]["instances"] == (3 if overlay == "production" else 1)
    assert cluster["spec"]["inheritedMetadata"]["labels"] == {MARK: "postgres"}


class ComposeLoader(yaml.SafeLoader):
    """Knows Compose's own tag, which replaces a list."""


ComposeLoader.add_constructor("!reset", lambda _loader, _node: [])


def compose(name: str) -> Document:
    found: Document = yaml.load((FOLDER / name).read_text(), ComposeLoader)  # noqa: S506 - a safe loader
    return found


def servers(name: str) -> dict[str, Document]:
    """The services that stay."""
    found: dict[str, Document] = compose(name)["services"]
    return {key: each for key, each in found.items() if each.get("restart") != "no"}


def test_compose_services_are_probed_marked_and_hold_no_secret() -> None:
    base = compose("compose.yaml")
    for name, service in servers("compose.yaml").items():
        assert service["healthcheck"]["test"], name
        assert service["labels"][MARK] in PORTS, name
        assert service["cap_drop"] == ["ALL"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert not [each for each in service.get("environment", {}) if re.search(r"(KEY|PASSWORD)$", each)], name
        used = [each if isinstance(each, str) else each["source"] for each in service["secrets"]]
        assert set(used) <= base["secrets"].keys(), name
        mounted = [each.split(":")[0] for each in service.get("volumes", ()) if each.startswith("./")]
        assert [each for each in mounted if not (FOLDER / each).exists()] == [], name


def test_compose_in_production_has_limits_tls_and_no_open_port() -> None:
    production = compose("compose.production.yaml")["services"]
    assert production.keys() == servers("compose.yaml").keys()
    for name, service in production.items():
        assert service["deploy"]["resources"]["limits"]["memory"], name
        folder = name.removesuffix("-replica")  # each has keys of its own: one belongs to one user
        assert f"./tls/{folder}:/tls:ro" in service["volumes"], name
        assert service.get("ports", []) == [], name


def test_no_secret_is_in_the_folder() -> None:
    text = "\n".join(path.read_text() for path in FOLDER.rglob("*") if path.is_file())
    assert re.findall(r"PASSWORD '[^:…]", text) == []
    assert not (FOLDER / "secrets").exists()
