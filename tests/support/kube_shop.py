"""One small site with an object of every kind that a collector may watch, consistent in itself."""

from support import kube_objects, kube_workloads
from support.kube_objects import Json

NAMESPACE = "shop"


def everything() -> list[Json]:
    """In an order in which an API server takes them."""
    web = kube_objects.deployment("web", NAMESPACE)
    service = kube_objects.service("web", NAMESPACE)
    nightly = kube_workloads.cron_job("nightly", NAMESPACE)
    claim = kube_workloads.claim("data-db-0", NAMESPACE, volume="pv-1")
    return [
        kube_objects.namespace(NAMESPACE),
        kube_objects.node("node-1"),
        kube_objects.configmap("settings", NAMESPACE, data={"level": "info"}),
        kube_objects.secret("login", NAMESPACE, data={"password": "aHVudGVyMg=="}),
        kube_objects.make("v1", "ServiceAccount", "default", NAMESPACE),
        kube_workloads.storage_class("fast"),
        claim,
        kube_workloads.volume("pv-1", claim),
        *web,
        service,
        kube_objects.endpoint_slice(service, web[2:]),
        kube_objects.ingress("web", "web", NAMESPACE),
        kube_workloads.network_policy("web", NAMESPACE),
        kube_workloads.autoscaler("web", web[0]),
        kube_workloads.disruption_budget("web", NAMESPACE),
        kube_workloads.stateful_set("db", NAMESPACE),
        kube_workloads.daemon_set("agent", NAMESPACE),
        nightly,
        kube_workloads.job("nightly-29500000", NAMESPACE, owner=nightly),
        kube_objects.event(web[-1], "BackOff", "Back-off restarting", time="2026-02-03T04:05:06.000007Z"),
        kube_objects.make(
            "coordination.k8s.io/v1", "Lease", "leader", NAMESPACE,
            spec={"holderIdentity": "web-1", "leaseDurationSeconds": 15, "leaseTransitions": 1},
        ),
    ]  # fmt: skip
