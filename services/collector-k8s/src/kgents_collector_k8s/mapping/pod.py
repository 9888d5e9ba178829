"""Pods: a Pod → the pod entity, its containers, and the name of its controlling owner."""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from sys import intern
from typing import Final

from kgents_collector_k8s.mapping import container
from kgents_collector_k8s.mapping.entity import Attributes, entity, given, hashes_of, owner_of, ref_of
from kgents_collector_k8s.mapping.fragment import Fragment, Kind, Owner, Scope
from kgents_collector_k8s.mapping.pod_status import ended, restarts, status_of, word_of
from kgents_collector_k8s.mapping.reference import claims, configured, mentions, named
from kgents_collector_k8s.mapping.resources import REMEMBERED, PodQuantities, pod_quantities, pod_resources
from kgents_collector_k8s.objects.metadata import condition
from kgents_collector_k8s.objects.pod import Pod
from kgents_shared.contract.address import is_loopback, is_unspecified, join, normalised
from kgents_shared.contract.entity import Connection, Ref
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute
from kgents_shared.contract.vocabulary.attributes import otel

_WORKLOADS: Final = frozenset(
    {("apps", "ReplicaSet"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("batch", "Job")}
)
"""Owners whose template names what configures their pods."""

_OVER: Final = ("Succeeded", "Failed")
_OOM_KILLED: Final = "OOMKilled"


def fragment(pod: Pod, scope: Scope) -> Fragment:
    """The pod and its containers. Its owner's edge, its Services and its policies are joined by the inventory.

    ConfigMaps and Secrets are connected to its workload, since all its pods are configured alike. A pod without one is
    connected itself: a bare pod, a static pod (its owner is the Node), a pod of an operator.
    """
    ref = ref_of(pod.metadata, "pod", scope)
    owner = owner_of(pod.metadata)
    word = word_of(pod)
    containers = container.entities(pod, ref, scope)
    configures = [] if _has_workload(owner) else configured(mentions(pod.spec, "spec"), ref.namespace, scope)
    itself = entity(
        pod.metadata,
        kinds.POD,
        scope,
        status=status_of(pod, word),
        attributes=_attributes(pod) | _shared(pod, word),
        addresses=_addresses(pod),
        aliases=_aliases(pod),
        connections=[*_runs_on(pod, scope), *_claims(pod, scope), *configures],
    )
    hashes = hashes_of(pod.metadata)
    return Fragment(pod.metadata.uid, [itself, *containers], owner, named(configures), hashes=hashes)


def _has_workload(owner: Owner | None) -> bool:
    return owner is not None and (owner.api_group, owner.api_kind) in _WORKLOADS


def _attributes(pod: Pod) -> Attributes:
    """What differs from pod to pod."""
    status = pod.status
    start = status.start_time
    found: Attributes = {
        otel.K8S_POD_UID: pod.metadata.uid,
        otel.K8S_POD_IP: status.pod_ip,
        otel.K8S_POD_START_TIME: start.isoformat().replace("+00:00", "Z") if start is not None else None,
        attribute.POD_DISRUPTION_REASON: _disruption(pod),
        attribute.POD_RESTART_COUNT: restarts(pod),
        otel.K8S_NODE_NAME: intern(pod.spec.node_name),
    }
    _add_last_end(pod, found)
    return found


def _shared(pod: Pod, word: str) -> Attributes:
    """What many pods have in common; the same object for equal values, so not to be changed."""
    spec, status = pod.spec, pod.status
    return _alike(
        status.phase, word, status.qos_class, spec.priority_class_name, spec.service_account_name, spec.host_network,
        pod_quantities(spec),
    )  # fmt: skip


@lru_cache(maxsize=REMEMBERED)
def _alike(
    phase: str, word: str, qos_class: str, priority: str, account: str, on_host: bool, quantities: PodQuantities
) -> Attributes:
    return given(
        {
            otel.K8S_POD_STATUS_PHASE: intern(phase),
            otel.K8S_POD_STATUS_REASON: intern(word),
            attribute.POD_QOS_CLASS: intern(qos_class),
            attribute.POD_HOST_NETWORK: on_host or None,
            attribute.POD_PRIORITY_CLASS_NAME: intern(priority),
            attribute.SERVICE_ACCOUNT_NAME: intern(account),
            **pod_resources(quantities),
        }
    )


def _disruption(pod: Pod) -> str:
    found = condition(pod.status.conditions, "DisruptionTarget")
    return intern(found.reason) if found is not None and found.status == "True" else ""


def _add_last_end(pod: Pod, attributes: Attributes) -> None:
    """How that of its containers ended which was restarted last. If their times are not known, an OOM kill counts."""
    found = [each.last_state for each in pod.status.container_statuses or () if each.last_state is not None]
    found += [each.last_state for each in pod.status.init_container_statuses or () if each.last_state is not None]
    if known := [each.terminated for each in found if each.terminated is not None]:
        last = max(known, key=lambda each: (_seconds(each.finished_at), each.reason == _OOM_KILLED))
        attributes[attribute.POD_STATUS_LAST_TERMINATED_REASON] = ended(last)
        attributes[attribute.POD_STATUS_LAST_TERMINATED_EXIT_CODE] = last.exit_code


def _seconds(time: datetime | None) -> float:
    return time.timestamp() if time is not None else 0.0


def _addresses(pod: Pod) -> Iterator[str]:
    """Its own IPs, and the ports that it occupies on its node.

    The IPs of a finished pod are soon assigned to others; those of one on the host network belong to the node.
    """
    spec, status = pod.spec, pod.status
    if status.phase in _OVER:
        return
    if not spec.host_network:
        yield normalised(status.pod_ip)
        for each in status.pod_ips or ():
            if each.ip != status.pod_ip:
                yield normalised(each.ip)
    sidecars = (each for each in spec.init_containers or () if each.restart_policy == "Always")
    for one in (*(spec.containers or ()), *sidecars):
        for port in one.ports or ():
            if port.host_port:
                host = status.host_ip if is_unspecified(port.host_ip) else port.host_ip
                if host and not is_loopback(host):
                    yield join(host, port.host_port)


def _aliases(pod: Pod) -> Iterator[str]:
    """Its uid, and its name in the cluster's DNS, which a pod of a StatefulSet has: `db-0.db.shop.svc`."""
    spec = pod.spec
    if pod.metadata.uid:
        yield f"pod-uid:{pod.metadata.uid}"
    if spec.hostname and spec.subdomain and pod.status.phase not in _OVER:
        name = f"{spec.hostname}.{spec.subdomain}.{pod.metadata.namespace}"
        yield from (name, f"{name}.svc", f"{name}.svc.cluster.local")


def _runs_on(pod: Pod, scope: Scope) -> list[Connection]:
    if not pod.spec.node_name:
        return []
    peer = Ref(scope.cluster, kinds.NODE, intern(pod.spec.node_name))
    return [Connection(kind=edges.RUNS_ON, peer=peer, evidence="spec.nodeName")]


def _claims(pod: Pod, scope: Scope) -> list[Connection]:
    if not pod.spec.volumes:
        return []
    return claims(pod.spec, "spec", pod.metadata.namespace, scope, pod=pod.metadata.name)


KIND: Final = Kind(kinds.POD, "Pod", "", "v1", "pods", Pod, fragment)
