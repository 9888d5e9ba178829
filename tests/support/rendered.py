"""What helm and kubectl render, and what the restricted profile has against it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from release.kubernetes import template
from support.programs import need

REQUIRED: Final = ("--set", "config.cluster=prod,config.nats.url=tls://nats:4222")
WITH_PODS: Final = ("Deployment", "DaemonSet", "StatefulSet", "Job")
VOLUMES: Final = {"configMap", "emptyDir", "secret", "projected"}


def helm(*options: str, namespace: str = "kgents") -> list[dict[str, Any]]:
    return template(str(need("helm")), (), *options, namespace=namespace)


def kustomized(folder: Path) -> list[dict[str, Any]]:
    done = subprocess.run([str(need("kubectl")), "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.load_all(done.stdout, yaml.CSafeLoader))


def named(objects: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Workload → the specification of its pods."""
    return {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in objects if each["kind"] in WITH_PODS}


def not_restricted(name: str, spec: dict[str, Any]) -> Iterator[str]:
    """What the restricted profile, and our own rules beyond it, refuse of a pod."""
    pod = spec["securityContext"]
    if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield f"{name}: shares what belongs to its machine"
    if pod["runAsNonRoot"] is not True or not pod["runAsUser"] or pod["seccompProfile"]["type"] != "RuntimeDefault":
        yield f"{name}: may be root"
    asks_api = name in ("kgents-collector-k8s", "kgents-operator")
    if spec["enableServiceLinks"] is not False or spec["automountServiceAccountToken"] is not asks_api:
        yield f"{name}: gets more than it needs"
    volumes = {key for volume in spec["volumes"] for key in volume if key != "name"}
    if not volumes <= VOLUMES:
        yield f"{name}: mounts {volumes}"
    for container in spec["containers"]:
        own = container["securityContext"]
        if own["allowPrivilegeEscalation"] is not False or own["capabilities"] != {"drop": ["ALL"]}:
            yield f"{name}: has capabilities"
        if own["readOnlyRootFilesystem"] is not True:
            yield f"{name}: may write its root"
        if set(container["resources"]) != {"requests", "limits"} or "cpu" in container["resources"]["limits"]:
            yield f"{name}: has no bounds, or one of processor time"
