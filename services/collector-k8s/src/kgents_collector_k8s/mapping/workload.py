"""Workloads with replicas: Deployment, ReplicaSet, StatefulSet, DaemonSet → entities, by `kubectl rollout status`."""

from sys import intern
from typing import Final

from kgents_collector_k8s.mapping import rollout
from kgents_collector_k8s.mapping.entity import Attributes, Status, entity, owner_of
from kgents_collector_k8s.mapping.fragment import Fragment, Kind, Scope
from kgents_collector_k8s.mapping.reference import claims, configured, mentions, named
from kgents_collector_k8s.objects.metadata import Metadata
from kgents_collector_k8s.objects.pod import PodSpec, PodTemplate
from kgents_collector_k8s.objects.workload import DaemonSet, Deployment, ReplicaSet, StatefulSet
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute
from kgents_shared.contract.vocabulary.attributes import otel

TEMPLATE: Final = "spec.template.spec"


def workload(
    metadata: Metadata,
    kind: str,
    scope: Scope,
    template: PodTemplate,
    *,
    status: Status,
    attributes: Attributes,
    at: str = TEMPLATE,
) -> Fragment:
    """The fragment of any object that makes pods: connected to what configures them and to the claims they share."""
    owner = owner_of(metadata)
    spec = template.spec
    configures = configured(mentions(spec, at), metadata.namespace, scope)
    itself = entity(
        metadata,
        kind,
        scope,
        status=status,
        attributes={
            otel.K8S_WORKLOAD_UID.named(kind=kind): metadata.uid,
            attribute.WORKLOAD_IMAGES: _images(spec),
            **attributes,
        },
        connections=[*claims(spec, at, metadata.namespace, scope), *configures],
    )
    return Fragment(metadata.uid, [itself], owner, named(configures), makes=template.metadata.labels or {})


def _images(spec: PodSpec) -> list[str]:
    """What its template runs, whether or not a pod of it exists. Images rarely differ from one object to the next."""
    containers = [*(spec.init_containers or ()), *(spec.containers or ())]
    return sorted(intern(f"{each.name}={each.image}") for each in containers if each.image)


def deployment(found: Deployment, scope: Scope) -> Fragment:
    """A Deployment."""
    attributes: Attributes = {
        otel.K8S_DEPLOYMENT_DESIRED_PODS: found.spec.replicas,
        attribute.DEPLOYMENT_UPDATED_PODS: found.status.updated_replicas,
        attribute.DEPLOYMENT_READY_PODS: found.status.ready_replicas,
        otel.K8S_DEPLOYMENT_AVAILABLE_PODS: found.status.available_replicas,
    }
    status = rollout.deployment(found)
    return workload(found.metadata, "deployment", scope, found.spec.template, status=status, attributes=attributes)


def replicaset(found: ReplicaSet, scope: Scope) -> Fragment:
    """A ReplicaSet. One of a Deployment is not shown: its pods are the Deployment's, and most are old revisions."""
    owner = owner_of(found.metadata)
    if owner is not None and (owner.api_kind, owner.api_group) == ("Deployment", "apps"):
        return Fragment(found.metadata.uid, owner=owner)
    attributes: Attributes = {
        otel.K8S_REPLICASET_DESIRED_PODS: found.spec.replicas,
        attribute.REPLICASET_READY_PODS: found.status.ready_replicas,
        otel.K8S_REPLICASET_AVAILABLE_PODS: found.status.available_replicas,
    }
    status = rollout.replicaset(found)
    return workload(found.metadata, "replicaset", scope, found.spec.template, status=status, attributes=attributes)


def statefulset(found: StatefulSet, scope: Scope) -> Fragment:
    """A StatefulSet. The claims of its `volumeClaimTemplates` are connected to its pods: each has its own."""
    attributes: Attributes = {
        otel.K8S_STATEFULSET_DESIRED_PODS: found.spec.replicas,
        otel.K8S_STATEFULSET_UPDATED_PODS: found.status.updated_replicas,
        otel.K8S_STATEFULSET_READY_PODS: found.status.ready_replicas,
        otel.K8S_SERVICE_NAME: found.spec.service_name,
    }
    status = rollout.statefulset(found)
    return workload(found.metadata, "statefulset", scope, found.spec.template, status=status, attributes=attributes)


def daemonset(found: DaemonSet, scope: Scope) -> Fragment:
    """A DaemonSet."""
    attributes: Attributes = {
        otel.K8S_DAEMONSET_DESIRED_SCHEDULED_NODES: found.status.desired_number_scheduled,
        otel.K8S_DAEMONSET_CURRENT_SCHEDULED_NODES: found.status.current_number_scheduled,
        otel.K8S_DAEMONSET_READY_NODES: found.status.number_ready,
        otel.K8S_DAEMONSET_MISSCHEDULED_NODES: found.status.number_misscheduled,
    }
    status = rollout.daemonset(found)
    return workload(found.metadata, "daemonset", scope, found.spec.template, status=status, attributes=attributes)


DEPLOYMENT: Final = Kind(kinds.DEPLOYMENT, "Deployment", "apps", "v1", "deployments", Deployment, deployment)
REPLICASET: Final = Kind(kinds.REPLICASET, "ReplicaSet", "apps", "v1", "replicasets", ReplicaSet, replicaset)
STATEFULSET: Final = Kind(kinds.STATEFULSET, "StatefulSet", "apps", "v1", "statefulsets", StatefulSet, statefulset)
DAEMONSET: Final = Kind(kinds.DAEMONSET, "DaemonSet", "apps", "v1", "daemonsets", DaemonSet, daemonset)
