"""The chart → the resources of the overlays for kustomize: one source, rendered by the real helm.

An overlay keeps by hand what an operator changes: `kgents.yaml`, the images, patches. What the chart says of the
workloads is in its `resources.yaml`, and is written here.
"""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from release.chart import CHART
from release.closure import ROOT

OVERLAYS: Final = ROOT / "deploy/kubernetes"
PROFILES: Final = {"hub": "kgents", "edge": "kgents", "host": "kgents-host"}
"""Profile, also the name of its overlay → the namespace it is made for."""
BASE: Final = "base"
TIMEOUT_S: Final = 120
_IN_BASE: Final = ("NetworkPolicy", "kgents-default")
_HEAD: Final = "# Made from deploy/helm/kgents by `make kubernetes`. What you change belongs into kustomization.yaml.\n"


def template(helm: str, values: Iterable[Path], *options: str, namespace: str) -> list[dict[str, Any]]:
    """What the chart says, as objects.

    Raises:
        ValueError: helm refuses the chart or the values, with its words.
    """
    files = [word for path in values for word in ("--values", str(path))]
    command = [helm, "template", "kgents", str(CHART), "--namespace", namespace, *files, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603 - helm
    if done.returncode != 0:
        raise ValueError(done.stderr.strip())
    return [each for each in yaml.load_all(done.stdout, yaml.CSafeLoader) if each]


def rendered(helm: str) -> dict[Path, str]:
    """The files of all overlays that are written."""
    found = {}
    for profile, namespace in PROFILES.items():
        objects = list(_without_settings(workloads(helm, profile, namespace)))
        if profile != "host":  # on the network of its machine, where no policy holds
            found[OVERLAYS / BASE / "resources.yaml"] = _text(each for each in objects if _is_in_base(each))
        found[OVERLAYS / profile / "resources.yaml"] = _text(each for each in objects if not _is_in_base(each))
    return found


def workloads(helm: str, profile: str, namespace: str) -> list[dict[str, Any]]:
    """What a profile consists of, without the ConfigMap: an overlay makes that of its own kgents.yaml."""
    # The schema wants a cluster and a server; an overlay has them in its kgents.yaml.
    place = ",config.streams.place=edge" if profile == "edge" else ""
    settings = f"profile={profile},config.cluster=x,config.nats.url=nats://x{place}"
    objects = template(helm, (), "--set", settings, namespace=namespace)
    return [each for each in objects if each["kind"] != "ConfigMap"]


def _without_settings(objects: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Kustomize names a ConfigMap after its content, and so needs no mark of it; and names a Job by hand."""
    for each in objects:
        if each["kind"] == "Job":
            each["metadata"]["name"] = "kgents-provision"
        each.get("spec", {}).get("template", {}).get("metadata", {}).pop("annotations", None)
        yield each


def _is_in_base(each: dict[str, Any]) -> bool:
    return (each["kind"], each["metadata"]["name"]) == _IN_BASE


def _text(objects: Iterable[dict[str, Any]]) -> str:
    return _HEAD + yaml.safe_dump_all(objects, sort_keys=False, width=120)
