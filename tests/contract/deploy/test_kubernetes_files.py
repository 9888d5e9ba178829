"""What pods read besides their settings: a price list, and manifests of what the cluster should be."""

import re
import shutil
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import yaml

from kgents_cli.installed import load_service
from kgents_shared.runtime.config import SERVICES, load
from kgents_shared.runtime.yaml_file import read_struct
from kgents_shared.view.cost.prices import PriceList
from release.kubernetes import OVERLAYS
from support.kube_schemas import VERSIONS, faults
from support.rendered import REQUIRED, helm, kustomized, named, not_restricted, pods

PRICES: Final = {"name": "example", "currency": "EUR", "vcpu_hour": 0.03, "gib_hour": 0.004}
SHOP: Final = {"volume": {"configMap": {"name": "shop"}}, "namespace": "shop"}
BOUNDS: Final = {"requests": {"memory": "32Mi"}, "limits": {"memory": "64Mi"}}
KEEPER: Final = {"image": "sync:1", "args": ["x"], "resources": BOUNDS}
KEPT: Final = {"volume": {"emptyDir": {}}, "path": "current/deploy", "container": KEEPER}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_price_list_and_manifests_are_values_that_their_services_read(version: str, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"prices": PRICES, "manifests": {"shop": SHOP, "kept": KEPT}}))
    objects = named(helm(*REQUIRED, "--values", str(values), "--set", "profile=all"))
    assert [fault for each in objects.values() for fault in faults(each, version)] == []
    found = pods(list(objects.values()))
    assert [fault for name, spec in found.items() for fault in not_restricted(name, spec)] == []

    gateway, collector = (found[f"kgents-{name}"]["containers"][0] for name in ("gateway", "collector-k8s"))
    place = variables(gateway)["KGENTS__GATEWAY__PRICES_FILE"]
    assert mounted(gateway)["prices"] == (str(Path(place).parent), True)
    listed = tmp_path / "prices.yaml"
    listed.write_text(objects["ConfigMap", "kgents-prices"]["data"][Path(place).name])
    assert read_struct(listed, PriceList) == msgspec.convert(PRICES, PriceList)

    environ = {**variables(collector), "HOME": "/", "KGENTS__CLUSTER": "prod"}
    config = load(
        "collector-k8s", load_service("collector-k8s").config, path=None, environ=environ, services=list(SERVICES)
    )[1]
    sets = {each.name: (each.path, each.namespace) for each in config.manifests}
    kept = ("/srv/manifests/kept/current/deploy", "default")
    assert sets == {"shop": ("/srv/manifests/shop", "shop"), "deploy": kept}
    assert mounted(collector)["manifests-shop"] == ("/srv/manifests/shop", True)
    keeper = found["kgents-collector-k8s"]["containers"][1]
    assert (keeper["image"], mounted(keeper)["manifests-kept"]) == ("sync:1", ("/srv/manifests/kept", False))
    for name in found.keys() - {"kgents-gateway", "kgents-collector-k8s"}:
        assert len(found[name]["containers"]) == 1
        assert mounted(found[name]["containers"][0]).keys() <= {"config", "data", "secrets", "machine"}, name


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


def mounted(container: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """Volume → where it is mounted, and whether read-only."""
    return {each["name"]: (each["mountPath"], each.get("readOnly", False)) for each in container["volumeMounts"]}


@pytest.mark.parametrize(
    ("component", "overlay", "values"),
    [
        ("prices", "hub", {"prices": PRICES}),
        ("manifests", "edge", {"manifests": {"desired": {"volume": {"configMap": {"name": "kgents-manifests"}}}}}),
    ],
)
def test_a_component_of_kustomize_is_what_the_value_of_the_chart_is(
    component: str, overlay: str, values: dict[str, Any], tmp_path: Path
) -> None:
    copied = shutil.copytree(OVERLAYS, tmp_path / "kubernetes")
    file = copied / overlay / "kustomization.yaml"
    line = f"# components: [../{component}]"
    assert line in file.read_text(), "the overlay says how it is switched on"
    file.write_text(file.read_text().replace(line, line.removeprefix("# ")))
    given = tmp_path / "values.yaml"
    given.write_text(yaml.safe_dump(values))
    expected = pods(helm(*REQUIRED, "--values", str(given), "--set", f"profile={overlay}"))
    objects = kustomized(copied / overlay)
    text = re.sub(r"\bkgents-(config|prices|manifests)-[a-z0-9]{10}\b", r"kgents-\1", yaml.safe_dump(pods(objects)))
    found = yaml.safe_load(text)
    for name in found.keys() & expected.keys():
        assert found[name] == expected[name]
    of_edge = named(objects)
    (made,) = [each for kind, each in of_edge if kind == "ConfigMap" and each.startswith(f"kgents-{component}-")]
    assert made in yaml.safe_dump(pods(objects)), "what has changed starts the service again"
