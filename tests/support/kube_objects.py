"""Kubernetes objects as a cluster really has them: defaults filled in, managedFields, last-applied annotations.

Each builder returns what an API server would answer, without `resourceVersion`. A `uid` that is not given is a new one:
building the same name again makes another incarnation.
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

Json = dict[str, Any]

CREATED = "2026-02-03T04:05:06Z"
SERVER_SIDE_FIELDS: Json = {
    "f:metadata": {
        "f:annotations": {".": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {}},
        "f:labels": {".": {}, "f:app.kubernetes.io/name": {}, "f:app.kubernetes.io/version": {}},
        "f:ownerReferences": {".": {}, 'k:{"uid":"0d7b1a5e-9c2f-4b7e-8f57-3a1f0a8d2c11"}': {}},
    },
    "f:spec": {
        "f:containers": {
            'k:{"name":"main"}': {
                ".": {},
                "f:image": {},
                "f:imagePullPolicy": {},
                "f:name": {},
                "f:ports": {".": {}, 'k:{"containerPort":8080,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
                "f:resources": {".": {}, "f:limits": {".": {}, "f:memory": {}}, "f:requests": {".": {}, "f:cpu": {}}},
                "f:terminationMessagePath": {},
                "f:terminationMessagePolicy": {},
            }
        },
        "f:dnsPolicy": {},
        "f:enableServiceLinks": {},
        "f:restartPolicy": {},
        "f:schedulerName": {},
        "f:securityContext": {},
        "f:terminationGracePeriodSeconds": {},
    },
}
STATUS_FIELDS: Json = {
    "f:status": {
        "f:conditions": {
            f'k:{{"type":"{kind}"}}': {".": {}, "f:lastProbeTime": {}, "f:lastTransitionTime": {}, "f:status": {}}
            for kind in ("ContainersReady", "Initialized", "PodReadyToStartContainers", "Ready")
        },
        "f:containerStatuses": {},
        "f:hostIP": {},
        "f:phase": {},
        "f:podIP": {},
        "f:podIPs": {".": {}, 'k:{"ip":"10.244.1.7"}': {".": {}, "f:ip": {}}},
        "f:startTime": {},
    }
}
MANAGED_FIELDS: list[Json] = [
    {
        "manager": manager, "operation": "Update", "apiVersion": "v1", "time": CREATED, "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    for manager, fields in (("kube-controller-manager", SERVER_SIDE_FIELDS), ("kubelet", STATUS_FIELDS))
]  # fmt: skip
"""Shared by all objects: who reads it must not change it."""
TOKEN_VOLUME: Json = {
    "name": "kube-api-access-4xq7p",
    "projected": {
        "defaultMode": 420,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                    ]
                }
            },
        ],
    },
}
"""What the ServiceAccount admission gives each pod."""
TOLERATIONS: list[Json] = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for key in ("not-ready", "unreachable")
]


def new_uid() -> str:
    return str(uuid.uuid4())


def make(api_version: str, kind: str, name: str, namespace: str = "", **rest: Any) -> Json:
    """Any object. `labels`, `annotations`, `owner` and `uid` go into its metadata, the rest is its content."""
    owner: Json | None = rest.pop("owner", None)
    metadata: Json = {"name": name, "uid": rest.pop("uid", "") or new_uid(), "creationTimestamp": CREATED}
    if namespace:
        metadata["namespace"] = namespace
    for key in ("labels", "annotations"):
        if found := rest.pop(key, None):
            metadata[key] = dict(found)
    if owner:
        metadata["ownerReferences"] = [owned_by(owner)]
    metadata["managedFields"] = MANAGED_FIELDS
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata} | rest


def owned_by(owner: Json) -> Json:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def applied(content: Json) -> Json:
    """The object as `kubectl apply` leaves it: with a copy of itself in an annotation."""
    shown = {key: value for key, value in content.items() if key != "status"}
    shown["metadata"] = {key: content["metadata"][key] for key in ("name", "namespace") if key in content["metadata"]}
    annotations = content["metadata"].setdefault("annotations", {})
    annotations["kubectl.kubernetes.io/last-applied-configuration"] = json.dumps(shown) + "\n"
    return content


def namespace(name: str, **metadata: Any) -> Json:
    labels = {"kubernetes.io/metadata.name": name} | metadata.pop("labels", {})
    return make(
        "v1", "Namespace", name, labels=labels, **metadata,
        spec={"finalizers": ["kubernetes"]}, status={"phase": "Active"},
    )  # fmt: skip


def node(name: str, *, is_ready: bool = True, **metadata: Any) -> Json:
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": "zone-a"}
    resources = {"cpu": "8", "memory": "32Gi", "pods": "110"}
    conditions = [
        {"type": kind, "status": status, "reason": f"Kubelet{kind}", "message": "", "lastHeartbeatTime": CREATED,
         "lastTransitionTime": CREATED}
        for kind, status in (
            ("MemoryPressure", "False"), ("DiskPressure", "False"), ("PIDPressure", "False"), ("Ready", str(is_ready)),
        )
    ]  # fmt: skip
    status = {
        "capacity": resources,
        "allocatable": resources,
        "conditions": conditions,
        "addresses": [{"type": "InternalIP", "address": "192.168.0.10"}, {"type": "Hostname", "address": name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": "6c1cf1f8-6f0b-4b4f-9d1c-3a0a9d3b1a55",
            "containerRuntimeVersion": "containerd://2.0.5",
            "kernelVersion": "6.8.0-60-generic",
            "kubeProxyVersion": "",
            "kubeletVersion": "v1.33.1",
            "machineID": "b7b0c6d3f1a54d5fa0d7c5a1d7f0a1b2",
            "operatingSystem": "linux",
            "osImage": "Debian GNU/Linux 12 (bookworm)",
            "systemUUID": "b7b0c6d3-f1a5-4d5f-a0d7-c5a1d7f0a1b2",
        },
    }
    return make("v1", "Node", name, labels=labels, **metadata, spec={"podCIDR": "10.244.1.0/24"}, status=status)


def pod_spec(image: str = "registry.example/shop/web:1.4.2", **rest: Any) -> Json:
    """Of a pod or of a template; `env`, `envFrom` and `volumeMounts` go into its container `main`."""
    container: Json = {
        "name": "main",
        "image": image,
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }
    container |= {key: rest.pop(key) for key in ("env", "envFrom", "volumeMounts") if key in rest}
    return {
        "containers": [container],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
        "serviceAccountName": "default",
    } | rest


def pod(
    name: str,
    namespace: str = "default",
    *,
    node: str = "node-1",
    ip: str = "10.244.1.7",
    state: Json | None = None,
    restarts: int = 0,
    spec: Json | None = None,
    **metadata: Any,
) -> Json:
    """Running and ready, unless `state` says otherwise: `{"waiting": {"reason": "CrashLoopBackOff"}}`."""
    is_ready = state is None
    spec = spec or pod_spec()
    spec = spec | {
        "nodeName": node,
        "volumes": [*spec.get("volumes", []), TOKEN_VOLUME],
        "tolerations": TOLERATIONS,
    }
    image = spec["containers"][0]["image"]
    status = {
        "phase": "Running",
        "conditions": [
            {"type": kind, "status": value, "lastProbeTime": None, "lastTransitionTime": CREATED}
            for kind, value in (
                ("PodReadyToStartContainers", "True"), ("Initialized", "True"), ("Ready", str(is_ready)),
                ("ContainersReady", str(is_ready)), ("PodScheduled", "True"),
            )
        ],
        "hostIP": "192.168.0.10",
        "hostIPs": [{"ip": "192.168.0.10"}],
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": CREATED,
        "containerStatuses": [
            {
                "name": "main",
                "state": state or {"running": {"startedAt": CREATED}},
                "lastState": {},
                "ready": is_ready,
                "restartCount": restarts,
                "image": image,
                "imageID": f"{image.rpartition(':')[0]}@sha256:{'5d' * 32}",
                "containerID": f"containerd://{'c0' * 32}",
                "started": is_ready,
            }
        ],
        "qosClass": "Burstable",
    }  # fmt: skip
    return make("v1", "Pod", name, namespace, **metadata, spec=spec, status=status)


def deployment(
    name: str, namespace: str = "default", *, replicas: int = 2, spec: Json | None = None, **metadata: Any
) -> list[Json]:
    """A rolled out Deployment, its ReplicaSet and its Pods, in this order."""
    labels = {"app.kubernetes.io/name": name}
    hashed = labels | {"pod-template-hash": "5d8f7c9b64"}
    spec = spec or pod_spec()
    ready = {"replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas, "observedGeneration": 1}
    conditions = [
        {"type": kind, "status": "True", "reason": reason, "message": "", "lastUpdateTime": CREATED,
         "lastTransitionTime": CREATED}
        for kind, reason in (("Available", "MinimumReplicasAvailable"), ("Progressing", "NewReplicaSetAvailable"))
    ]  # fmt: skip
    top = make(
        "apps/v1", "Deployment", name, namespace, labels=labels, **metadata,
        spec={
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
        },
        status=ready | {"updatedReplicas": replicas, "conditions": conditions},
    )  # fmt: skip
    middle = make(
        "apps/v1", "ReplicaSet", f"{name}-5d8f7c9b64", namespace, labels=hashed, owner=top,
        spec={
            "replicas": replicas,
            "selector": {"matchLabels": hashed},
            "template": {"metadata": {"labels": hashed}, "spec": spec},
        },
        status=ready | {"fullyLabeledReplicas": replicas},
    )  # fmt: skip
    pods = [
        pod(
            f"{name}-5d8f7c9b64-{number:05d}", namespace,
            ip=f"10.244.{number >> 8 & 255}.{number & 255}", spec=spec, labels=hashed, owner=middle,
        )
        for number in range(replicas)
    ]  # fmt: skip
    return [applied(top), middle, *pods]


def service(
    name: str, namespace: str = "default", *, selector: Mapping[str, str] | None = None, **metadata: Any
) -> Json:
    return make(
        "v1", "Service", name, namespace, **metadata,
        spec={
            "type": "ClusterIP",
            "clusterIP": "10.96.12.34",
            "clusterIPs": ["10.96.12.34"],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "None",
            "selector": dict(selector or {"app.kubernetes.io/name": name}),
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}],
        },
        status={"loadBalancer": {}},
    )  # fmt: skip


def endpoint_slice(service: Json, pods: Iterable[Json], *, suffix: str = "x7k2p") -> Json:
    """Where a service leads: ready as the pods are."""
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    return make(
        "discovery.k8s.io/v1", "EndpointSlice", f"{name}-{suffix}", namespace, owner=service,
        labels={
            "kubernetes.io/service-name": name,
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        },
        addressType="IPv4",
        endpoints=[
            {
                "addresses": [one["status"]["podIP"]],
                "conditions": {"ready": is_ready(one), "serving": is_ready(one), "terminating": False},
                "nodeName": one["spec"]["nodeName"],
                "targetRef": {
                    "kind": "Pod",
                    "namespace": namespace,
                    "name": one["metadata"]["name"],
                    "uid": one["metadata"]["uid"],
                },
            }
            for one in pods
        ],
        ports=[{"name": "http", "port": 8080, "protocol": "TCP"}],
    )  # fmt: skip


def is_ready(pod: Json) -> bool:
    return all(status["ready"] for status in pod["status"]["containerStatuses"])


def ingress(
    name: str, service: str, namespace: str = "default", *, host: str = "shop.example", **metadata: Any
) -> Json:
    backend = {"service": {"name": service, "port": {"name": "http"}}}
    return make(
        "networking.k8s.io/v1", "Ingress", name, namespace, **metadata,
        spec={
            "ingressClassName": "nginx",
            "rules": [{"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
        },
        status={"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}},
    )  # fmt: skip


def configmap(name: str, namespace: str = "default", *, data: Mapping[str, str], **metadata: Any) -> Json:
    return make("v1", "ConfigMap", name, namespace, **metadata, data=dict(data))


def secret(name: str, namespace: str = "default", *, data: Mapping[str, str], **metadata: Any) -> Json:
    """`data` is base64, as it is on the wire; it stands in the last-applied annotation too, as it does in practice."""
    return applied(make("v1", "Secret", name, namespace, **metadata, type="Opaque", data=dict(data)))


def event(about: Json, reason: str, message: str, *, count: int = 1, time: str | None = None) -> Json:
    """A core Event about an object; the server shows it under `events.k8s.io` as well.

    Only new-style sources give an `eventTime`; that of the kubelet and of controllers is null.
    """
    metadata = about["metadata"]
    namespace = metadata.get("namespace", "default")
    return make(
        "v1", "Event", f"{metadata['name']}.{uuid.uuid4().hex[:16]}", namespace,
        involvedObject={
            "apiVersion": about["apiVersion"], "kind": about["kind"], "name": metadata["name"],
            "namespace": namespace, "uid": metadata["uid"],
        },
        reason=reason, message=message, type="Warning", count=count,
        source={"component": "kubelet", "host": "node-1"}, firstTimestamp=CREATED, lastTimestamp=CREATED,
        eventTime=time, reportingComponent="kubelet", reportingInstance="node-1",
    )  # fmt: skip


def pod_metrics(pod: Json, *, cpu: str = "12345678n", memory: str = "34567Ki", timestamp: str = CREATED) -> Json:
    """What metrics-server says of a pod; for `KubeApi.set_metrics`."""
    containers = [{"name": one["name"], "usage": {"cpu": cpu, "memory": memory}} for one in pod["spec"]["containers"]]
    metadata = {key: pod["metadata"][key] for key in ("name", "namespace")} | {"creationTimestamp": timestamp}
    return {"metadata": metadata, "timestamp": timestamp, "window": "15s", "containers": containers}


def node_metrics(node: Json, *, cpu: str = "1234567890n", memory: str = "3456789Ki", timestamp: str = CREATED) -> Json:
    metadata = {"name": node["metadata"]["name"], "creationTimestamp": timestamp}
    return {"metadata": metadata, "timestamp": timestamp, "window": "20s", "usage": {"cpu": cpu, "memory": memory}}
