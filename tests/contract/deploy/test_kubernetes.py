"""What is applied to a cluster: the chart, the overlays that are made of it, and the schema of its values."""

import copy
import os
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from kgents_cli.installed import load_service
from kgents_operator.rights import roles
from kgents_shared.runtime.config import SERVICES, load
from release.chart import CHART, SCHEMA, document, services
from release.kubernetes import OVERLAYS, PROFILES, rendered, template, workloads
from support.kube_schemas import VERSIONS, faults
from support.programs import need
from support.rendered import REQUIRED, WITH_PODS, helm, kustomized, named, not_restricted, pods

pytestmark = pytest.mark.timeout(120)


def test_the_schema_of_the_values_is_that_of_the_settings() -> None:
    assert SCHEMA.read_text() == document(), "run `make fix`"


@pytest.mark.parametrize("service", ["collector-k8s", "operator", "operator-disruptions"])
def test_the_chart_has_the_role_that_a_service_needs(service: str) -> None:
    name = f"{service}-clusterrole.yaml"
    assert (CHART / "files" / name).read_text() == (OVERLAYS / name).read_text(), "run `make fix`"


def test_every_service_but_that_of_docker_hosts_has_a_workload_and_values() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())["services"]
    assert set(services()) == set(values) == set(SERVICES) - {"collector-docker"}


def test_the_overlays_are_what_the_chart_says() -> None:
    stale = [path for path, text in rendered(str(need("helm"))).items() if path.read_text() != text]
    assert stale == [], "run `make kubernetes`"


@pytest.mark.parametrize("overlay", PROFILES)
def test_kustomize_and_helm_apply_the_same(overlay: str) -> None:
    by_kustomize = named(kustomized(OVERLAYS / overlay))
    text = yaml.safe_dump([each for key, each in by_kustomize.items() if key[0] not in ("Namespace", "ConfigMap")])
    found = named(yaml.safe_load(re.sub(r"\bkgents-config-\w+", "kgents-config", text)))
    expected = {}
    for each in workloads(str(need("helm")), overlay, PROFILES[overlay]):
        if each["kind"] == "Job":
            each["metadata"]["name"] = "kgents-provision"
        if each["kind"] in WITH_PODS:
            each["spec"]["template"]["metadata"].pop("annotations", None)
        if overlay != "host" or each["kind"] != "NetworkPolicy":
            expected[each["kind"], each["metadata"]["name"]] = each
    assert found == expected
    settings = [name for kind, name in by_kustomize if kind == "ConfigMap"]
    mounted = {
        volume["configMap"]["name"]
        for spec in pods(list(by_kustomize.values())).values()
        for volume in spec["volumes"]
        if "configMap" in volume
    }
    assert mounted == set(settings), "a changed setting must start the services again"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_last_three_versions_of_kubernetes_take_all_of_it(version: str) -> None:
    applied = [each for overlay in PROFILES for each in kustomized(OVERLAYS / overlay)]
    applied += [each for each in helm(*REQUIRED) if each["kind"] == "ConfigMap"]
    assert [fault for each in applied for fault in faults(each, version)] == []


def test_what_kubernetes_would_refuse_is_found() -> None:
    deployment = named(kustomized(OVERLAYS / "hub"))["Deployment", "kgents-gateway"]
    deployment["spec"]["template"]["spec"]["containers"][0]["resource"] = {}
    assert len(faults(deployment, VERSIONS[-1])) == 1


@pytest.mark.parametrize("overlay", ["hub", "edge"])
def test_pods_are_held_to_the_restricted_profile(overlay: str) -> None:
    found = pods(kustomized(OVERLAYS / overlay))
    assert len(found) >= 4
    assert [fault for name, spec in found.items() for fault in not_restricted(name, spec)] == []


def test_the_collector_of_a_machine_alone_is_not_and_has_a_namespace_of_its_own() -> None:
    objects = kustomized(OVERLAYS / "host")
    (found,) = pods(objects).items()
    refused = list(not_restricted(*found))
    assert [fault.split(": ")[1].split(" {")[0] for fault in refused] == [
        "shares what belongs to its machine",
        "mounts",
    ]
    (machine,) = [each for each in found[1]["containers"][0]["volumeMounts"] if each["name"] == "machine"]
    assert machine["readOnly"] is True
    assert {each["metadata"].get("namespace", each["metadata"]["name"]) for each in objects} == {"kgents-host"}


@pytest.mark.parametrize("overlay", PROFILES)
def test_each_setting_of_a_workload_is_one_of_its_service(overlay: str, tmp_path: Path) -> None:
    objects = kustomized(OVERLAYS / overlay)
    (settings,) = [each for each in objects if each["kind"] == "ConfigMap"]
    config = yaml.safe_load(settings["data"]["kgents.yaml"])
    path = tmp_path / "kgents.yaml"
    path.write_text(yaml.safe_dump(without_files(config)))
    for name, spec in pods(objects).items():
        service = name.removeprefix("kgents-")
        if service == "provision":
            continue
        env = {each["name"]: each.get("value", "node-1") for each in spec["containers"][0]["env"]}
        if service == "collector-host":
            env["KGENTS__COLLECTOR_HOST__ROOT"] = "/"  # /host is in the pod alone
        load(service, load_service(service).config, path=path, environ={"HOME": "/", **env}, services=list(SERVICES))


def without_files(config: dict[str, Any]) -> dict[str, Any]:
    """Settings without those that name a file: only a pod has them. The names themselves are checked by the schema."""
    found: dict[str, Any] = copy.deepcopy(config)
    found["nats"] = {"url": found["nats"]["url"]}
    found.pop("gateway", None)
    return found


@pytest.mark.parametrize("overlay", PROFILES)
def test_the_settings_of_an_overlay_are_values_of_the_chart(overlay: str, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    config = yaml.safe_load((OVERLAYS / overlay / "kgents.yaml").read_text())
    values.write_text(yaml.safe_dump({"profile": overlay, "config": config}))
    assert template(str(need("helm")), [values], namespace="kgents")


def test_ports_are_those_that_the_services_listen_on_by_default() -> None:
    found = {name: set(facts.get("ports", {}).values()) for name, facts in services().items() if "ports" in facts}
    otel = load_service("collector-otel").config()
    assert found == {
        "gateway": {load_service("gateway").config().port},
        "collector-otel": {otel.grpc.port, otel.http.port},
    }


def test_what_selects_pods_never_changes() -> None:
    for each in helm(*REQUIRED, "--set", "image.tag=9.9.9"):
        if each["kind"] in ("Deployment", "DaemonSet"):
            name = each["metadata"]["name"].removeprefix("kgents-")
            expected = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "kgents"}
            assert each["spec"]["selector"] == {"matchLabels": expected}


def test_a_budget_never_blocks_the_drain_of_a_machine() -> None:
    objects = named(helm(*REQUIRED, "--set", "services.gateway.replicas=1"))
    assert ("PodDisruptionBudget", "kgents-gateway") not in objects
    assert objects["PodDisruptionBudget", "kgents-health-scorer"]["spec"]["maxUnavailable"] == 1


def test_no_secret_is_a_value_or_a_manifest() -> None:
    assert [each for overlay in PROFILES for each in kustomized(OVERLAYS / overlay) if each["kind"] == "Secret"] == []
    with pytest.raises(ValueError, match="password"):
        helm(*REQUIRED, "--set", "config.nats.password=x")


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("config.nats.ulr=x", "ulr"),
        ("config.collector-k8s.metrics_interval_s=1", "metrics_interval_s"),
        ("services.gatway.replicas=2", "gatway"),
        ("services.gateway.replicas=0", "replicas"),
        ("profile=hubb", "profile"),
        ("config.cluster=", "cluster"),
        ("prices.vcpu_hours=1", "vcpu_hours"),
        ("manifests.Shop.volume.emptyDir.medium=Memory", "Shop"),
        ("config.gateway.prices_file=/x", "prices_file"),  # follows from `prices`
    ],
)
def test_a_misspelt_value_is_refused_before_it_is_applied(value: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        helm(*REQUIRED, "--set", value)


def test_a_cluster_and_a_server_must_be_named() -> None:
    with pytest.raises(ValueError, match="cluster"):
        helm()
    with pytest.raises(ValueError, match="nats"):
        helm("--set", "config.cluster=prod")


def test_a_service_can_be_left_out_and_another_added() -> None:
    off = "services.alert-notifier.enabled=false,services.collector-k8s.enabled=true,profile=hub"
    names = set(pods(helm(*REQUIRED, "--set", off)))
    assert "kgents-alert-notifier" not in names
    assert "kgents-collector-k8s" in names
    assert "kgents-collector-db" not in names


WITH_OPERATOR: Final = (*REQUIRED, "--set", "profile=edge,services.operator.enabled=true")


def test_with_the_operator_its_pod_is_restricted_and_has_the_rights_that_it_was_generated_with() -> None:
    plain, objects = named(helm(*REQUIRED, "--set", "profile=edge")), named(helm(*WITH_OPERATOR, namespace="live"))
    added = {key for key in objects if key not in plain}
    assert added == {
        ("Deployment", "kgents-operator"), ("ServiceAccount", "kgents-operator"),
        ("ClusterRole", "kgents-operator"), ("ClusterRoleBinding", "kgents-operator"),
        ("Role", "kgents-operator-lease"), ("RoleBinding", "kgents-operator-lease"),
    } | ({("NetworkPolicy", "kgents-operator"), ("PodDisruptionBudget", "kgents-operator")} & added)  # fmt: skip
    whole, lease = roles(load_service("operator").config(lease_namespace="live"))
    assert objects["ClusterRole", "kgents-operator"]["rules"] == whole["rules"]
    assert objects["Role", "kgents-operator-lease"]["rules"] == lease["rules"]
    assert objects["Role", "kgents-operator-lease"]["metadata"]["namespace"] == "live", "where its Lease is"
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        name = "kgents-operator" if kind == "ClusterRoleBinding" else "kgents-operator-lease"
        subject = {"kind": "ServiceAccount", "name": "kgents-operator", "namespace": "live"}
        assert objects[kind, name]["subjects"] == [subject]
        assert objects[kind, name]["roleRef"]["name"] == name
    spec = pods(list(objects.values()))["kgents-operator"]
    assert list(not_restricted("kgents-operator", spec)) == []
    (namespace,) = [each for each in spec["containers"][0]["env"] if each["name"].endswith("LEASE_NAMESPACE")]
    assert namespace["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}


def test_the_rights_of_disruptions_are_added_where_they_are_switched_on() -> None:
    found = named(helm(*WITH_OPERATOR, "--set", "config.operator.disruptions=true"))["ClusterRole", "kgents-operator"]
    (whole, _) = roles(load_service("operator").config(disruptions=True))
    assert sorted(map(str, found["rules"])) == sorted(map(str, whole["rules"]))


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_of_kubernetes_takes_the_operator(version: str) -> None:
    assert [fault for each in helm(*WITH_OPERATOR) for fault in faults(each, version)] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_with_an_exporter_one_of_two_pods_sends_and_reaches_its_receiver_alone(version: str) -> None:
    endpoint = "config.otlp-exporter.endpoint=https://otel:4318"
    added = {"--set": f"services.otlp-exporter.enabled=true,{endpoint}"}
    objects = named(helm(*REQUIRED, *(part for each in added.items() for part in each)))
    assert [fault for each in objects.values() for fault in faults(each, version)] == []
    deployment = objects["Deployment", "kgents-otlp-exporter"]["spec"]
    assert deployment["replicas"] == 2
    assert load_service("otlp-exporter").access.alone, "each of them would send everything"
    assert list(not_restricted("kgents-otlp-exporter", deployment["template"]["spec"])) == []
    policy = objects["NetworkPolicy", "kgents-otlp-exporter"]["spec"]
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert {443, 4318} <= ports
    (settings,) = [each for (kind, _), each in objects.items() if kind == "ConfigMap"]
    given = yaml.safe_load(settings["data"]["kgents.yaml"])
    assert given["otlp-exporter"] == {"endpoint": "https://otel:4318"}


def test_prometheus_operator_finds_every_service_where_it_is_asked_for() -> None:
    objects = named(helm(*REQUIRED, "--set", "serviceMonitor.enabled=true,profile=all"))
    monitor = objects["ServiceMonitor", "kgents"]["spec"]
    metrics = objects["Service", "kgents-metrics"]
    assert monitor["selector"]["matchLabels"].items() <= metrics["metadata"]["labels"].items()
    (port,) = metrics["spec"]["ports"]
    assert monitor["endpoints"][0]["port"] == port["name"]
    for name, spec in pods(list(objects.values())).items():
        if "provision" not in name:
            names = {each["name"]: each["containerPort"] for each in spec["containers"][0]["ports"]}
            assert names[port["targetPort"]] == 8080


def test_an_edge_with_a_nats_of_its_own_has_a_job_that_makes_its_streams() -> None:
    assert not [name for name in pods(helm(*REQUIRED, "--set", "profile=edge")) if "provision" in name]
    own = helm(*REQUIRED, "--set", "profile=edge,config.streams.place=edge")
    assert [name for name in pods(own) if "provision" in name]
    assert "kgents-provision" in pods(kustomized(OVERLAYS / "edge"))


def test_the_linter_of_helm_finds_nothing() -> None:
    done = subprocess.run(
        [str(need("helm")), "lint", "--strict", str(CHART), *REQUIRED], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif("KUBECONFIG" not in os.environ, reason="needs a cluster: KUBECONFIG with a current context")
@pytest.mark.parametrize("overlay", PROFILES)
def test_an_api_server_takes_it(overlay: str) -> None:
    """Tried out by the server itself, but for the namespace, which must be there for the others to be judged."""
    kubectl = [str(need("kubectl")), "--request-timeout=30s"]
    (wanted,) = (each for each in kustomized(OVERLAYS / overlay) if each["kind"] == "Namespace")
    namespace = yaml.safe_dump(wanted)
    made = subprocess.run([*kubectl, "create", "-f", "-"], input=namespace, capture_output=True, text=True, check=False)
    try:
        command = [*kubectl, "apply", "--dry-run=server", "-k", str(OVERLAYS / overlay)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        if made.returncode == 0:
            subprocess.run([*kubectl, "delete", "--timeout=120s", "-f", "-"], input=namespace, text=True, check=True)
    assert done.returncode == 0, done.stderr
    assert "would violate PodSecurity" not in done.stderr
