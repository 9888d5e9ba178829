"""Workloads beside Deployments, and their storage, as a cluster really has them; see `kube_objects` for the rest."""

from support.kube_objects import CREATED, Json, make, pod_spec


def _template(name: str, spec: Json | None = None) -> Json:
    return {"metadata": {"labels": {"app.kubernetes.io/name": name}}, "spec": spec or pod_spec()}


def _selector(name: str) -> Json:
    return {"matchLabels": {"app.kubernetes.io/name": name}}


def stateful_set(name: str, namespace: str = "default", *, replicas: int = 2, ready: int = 2) -> Json:
    return make(
        "apps/v1", "StatefulSet", name, namespace,
        spec={
            "replicas": replicas,
            "serviceName": name,
            "selector": _selector(name),
            "template": _template(name),
            "podManagementPolicy": "OrderedReady",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "revisionHistoryLimit": 10,
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        },
        status={
            "observedGeneration": 1,
            "replicas": replicas,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "currentReplicas": replicas,
            "updatedReplicas": replicas,
            "currentRevision": f"{name}-6d5f8b7c49",
            "updateRevision": f"{name}-6d5f8b7c49",
            "collisionCount": 0,
        },
    )  # fmt: skip


def daemon_set(name: str, namespace: str = "default", *, desired: int = 3, ready: int = 3) -> Json:
    return make(
        "apps/v1", "DaemonSet", name, namespace,
        spec={
            "selector": _selector(name),
            "template": _template(name),
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
            "revisionHistoryLimit": 10,
        },
        status={
            "observedGeneration": 1,
            "desiredNumberScheduled": desired,
            "currentNumberScheduled": desired,
            "updatedNumberScheduled": desired,
            "numberReady": ready,
            "numberAvailable": ready,
            "numberMisscheduled": 0,
        },
    )  # fmt: skip


def job(name: str, namespace: str = "default", *, has_failed: bool = False, owner: Json | None = None) -> Json:
    """Finished, well or not."""
    kind, reason = ("Failed", "BackoffLimitExceeded") if has_failed else ("Complete", "CompletionsReached")
    condition = {
        "type": kind, "status": "True", "reason": reason, "message": "", "lastProbeTime": CREATED,
        "lastTransitionTime": CREATED,
    }  # fmt: skip
    outcome: Json = {"failed": 7} if has_failed else {"succeeded": 1, "completionTime": CREATED}
    return make(
        "batch/v1", "Job", name, namespace, owner=owner,
        spec={
            "parallelism": 1,
            "completions": 1,
            "completionMode": "NonIndexed",
            "backoffLimit": 6,
            "suspend": False,
            "template": _template(name, pod_spec(restartPolicy="Never")),
        },
        status={"startTime": CREATED, "ready": 0, "terminating": 0, "conditions": [condition]} | outcome,
    )  # fmt: skip


def cron_job(name: str, namespace: str = "default", *, schedule: str = "*/5 * * * *") -> Json:
    template = _template(name, pod_spec(restartPolicy="OnFailure"))
    return make(
        "batch/v1", "CronJob", name, namespace,
        spec={
            "schedule": schedule,
            "concurrencyPolicy": "Forbid",
            "suspend": False,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {"metadata": {}, "spec": {"template": template}},
        },
        status={"lastScheduleTime": CREATED, "lastSuccessfulTime": CREATED},
    )  # fmt: skip


def autoscaler(name: str, target: Json, *, replicas: int = 2) -> Json:
    """A HorizontalPodAutoscaler of a workload."""
    metadata = target["metadata"]
    utilization = {"type": "Utilization", "averageUtilization": 80}
    current = {"averageUtilization": 41, "averageValue": "41m"}
    condition = {
        "type": "ScalingActive", "status": "True", "reason": "ValidMetricFound", "message": "",
        "lastTransitionTime": CREATED,
    }  # fmt: skip
    return make(
        "autoscaling/v2", "HorizontalPodAutoscaler", name, metadata["namespace"],
        spec={
            "scaleTargetRef": {"apiVersion": target["apiVersion"], "kind": target["kind"], "name": metadata["name"]},
            "minReplicas": 1,
            "maxReplicas": 10,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": utilization}}],
        },
        status={
            "observedGeneration": 1,
            "currentReplicas": replicas,
            "desiredReplicas": replicas,
            "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": current}}],
            "conditions": [condition],
        },
    )  # fmt: skip


def disruption_budget(name: str, namespace: str = "default") -> Json:
    healthy = {"currentHealthy": 2, "desiredHealthy": 1, "disruptionsAllowed": 1, "expectedPods": 2}
    return make(
        "policy/v1", "PodDisruptionBudget", name, namespace,
        spec={"minAvailable": 1, "selector": _selector(name)}, status={"observedGeneration": 1} | healthy,
    )  # fmt: skip


def network_policy(name: str, namespace: str = "default", *, selector: Json | None = None) -> Json:
    return make(
        "networking.k8s.io/v1", "NetworkPolicy", name, namespace,
        spec={
            "podSelector": _selector(name) if selector is None else selector,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"namespaceSelector": {}}], "ports": [{"port": 8080, "protocol": "TCP"}]}],
        },
    )  # fmt: skip


def storage_class(name: str) -> Json:
    return make(
        "storage.k8s.io/v1", "StorageClass", name, provisioner="ebs.csi.example", reclaimPolicy="Delete",
        volumeBindingMode="WaitForFirstConsumer", allowVolumeExpansion=True,
    )  # fmt: skip


def volume(name: str, claim: Json, *, storage_class: str = "fast") -> Json:
    """A PersistentVolume bound to a claim."""
    metadata = claim["metadata"]
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"} | {
        key: metadata[key] for key in ("name", "namespace", "uid")
    }
    return make(
        "v1", "PersistentVolume", name,
        spec={
            "capacity": {"storage": "8Gi"},
            "accessModes": ["ReadWriteOnce"],
            "claimRef": reference,
            "csi": {"driver": "ebs.csi.example", "volumeHandle": "vol-0a1b2c3d4e5f67890", "fsType": "ext4"},
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": storage_class,
            "volumeMode": "Filesystem",
        },
        status={"phase": "Bound", "lastPhaseTransitionTime": CREATED},
    )  # fmt: skip


def claim(name: str, namespace: str = "default", *, volume: str = "", storage_class: str = "fast") -> Json:
    """A PersistentVolumeClaim: bound when its volume is named, else pending."""
    bound = {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "8Gi"}}
    return make(
        "v1", "PersistentVolumeClaim", name, namespace,
        spec={
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "8Gi"}},
            "storageClassName": storage_class,
            "volumeMode": "Filesystem",
        } | ({"volumeName": volume} if volume else {}),
        status=bound if volume else {"phase": "Pending"},
    )  # fmt: skip
