"""What collectors state of Kubernetes and OpenTelemetry has no name for."""

from typing import Final

from kgents_shared.contract.vocabulary.attributes.attribute import Attributes

_OURS: Final = Attributes()
_attribute = _OURS.attribute

CONTAINER_TYPE: Final = _attribute("kgents.k8s.container.type", "`app`, `init`, `sidecar` or `ephemeral`.")
CONTAINER_STATUS_LAST_TERMINATED_EXIT_CODE: Final = _attribute(
    "kgents.k8s.container.status.last_terminated_exit_code", "Exit code with which it ended before its last restart."
)
CRONJOB_CONCURRENCY_POLICY: Final = _attribute(
    "kgents.k8s.cronjob.concurrency_policy", "`Allow`, `Forbid` or `Replace`."
)
CRONJOB_NEXT_SCHEDULE_TIME: Final = _attribute(
    "kgents.k8s.cronjob.next_schedule_time",
    "When it is due to start the next Job after the last one it started; none while it is suspended, or waits for the "
    "end of a Job (`Forbid`).",
)
CRONJOB_SCHEDULE: Final = _attribute("kgents.k8s.cronjob.schedule", "In cron's notation.")
CRONJOB_TIME_ZONE: Final = _attribute("kgents.k8s.cronjob.time_zone", "Time zone of the schedule.")
DELETION_GRACE_PERIOD: Final = _attribute(
    "kgents.k8s.deletion_grace_period_s", "Of what is being deleted: seconds that it was given to end."
)
DEPLOYMENT_READY_PODS: Final = _attribute("kgents.k8s.deployment.ready_pods", "Pods that are ready.")
DEPLOYMENT_UPDATED_PODS: Final = _attribute("kgents.k8s.deployment.updated_pods", "Pods of the newest revision.")
DRIFT: Final = _attribute(
    "kgents.k8s.drift",
    "How it differs from its manifest, of what is configured in `manifests`; `none`: it does not; null: not known, or "
    "not for long enough to be more than a rollout. Of manifests: their missing objects.",
)
DRIFT_SINCE: Final = _attribute("kgents.k8s.drift.since", "Since when it differs; it stays while that is not known.")
GATEWAY_CLASS: Final = _attribute("kgents.k8s.gateway.class", "The class: who implements it.")
GATEWAY_LISTENERS: Final = _attribute(
    "kgents.k8s.gateway.listeners",
    "Of a Gateway: `name:port/protocol`; of a connection to one: the listeners it attaches to.",
)
ROUTE_HOSTNAMES: Final = _OURS.family(
    "kgents.k8s.{kind}.hostnames", "Of an HTTPRoute or GRPCRoute: host names for which it takes requests."
)
INGRESS_CLASS: Final = _attribute("kgents.k8s.ingress.class", "The class: who implements it.")
INGRESS_RULES: Final = _attribute(
    "kgents.k8s.ingress.rules", "Of a connection: the hosts and paths that lead there, `*` for all others."
)
KUBELET_VERSION: Final = _attribute("kgents.k8s.kubelet.version", "Version of the kubelet of a node.")
NETWORKPOLICY_POLICY_TYPES: Final = _attribute("kgents.k8s.networkpolicy.policy_types", "`Ingress`, `Egress`.")
NODE_CONDITIONS: Final = _attribute("kgents.k8s.node.conditions", "The types of the conditions that hold.")
NODE_CAPACITY: Final = _OURS.family(
    "kgents.k8s.node.{resource}.capacity",
    "What the machine has: `cpu` in cores, `memory` and `ephemeral_storage` in bytes, `pod` the number of pods.",
)
NODE_ROLES: Final = _attribute("kgents.k8s.node.roles", "By its labels, as `kubectl get nodes` has them.")
NODE_TAINTS: Final = _attribute("kgents.k8s.node.taints", "`key=value:effect`.")
NODE_UNSCHEDULABLE: Final = _attribute("kgents.k8s.node.unschedulable", "Whether it is cordoned.")
PERSISTENTVOLUME_ACCESS_MODES: Final = _attribute("kgents.k8s.persistentvolume.access_modes", "`ReadWriteOnce`, …")
PERSISTENTVOLUME_CSI_DRIVER: Final = _attribute(
    "kgents.k8s.persistentvolume.csi.driver", "CSI driver that provides it."
)
PERSISTENTVOLUME_CSI_VOLUME_HANDLE: Final = _attribute(
    "kgents.k8s.persistentvolume.csi.volume_handle", "Its name at the CSI driver."
)
PERSISTENTVOLUME_VOLUME_MODE: Final = _attribute("kgents.k8s.persistentvolume.volume_mode", "`Filesystem` or `Block`.")
PERSISTENTVOLUMECLAIM_ACCESS_MODES: Final = _attribute(
    "kgents.k8s.persistentvolumeclaim.access_modes", "`ReadWriteOnce`, …"
)
PERSISTENTVOLUMECLAIM_VOLUME_MODE: Final = _attribute(
    "kgents.k8s.persistentvolumeclaim.volume_mode", "`Filesystem` or `Block`."
)
POD_DISRUPTION_REASON: Final = _attribute(
    "kgents.k8s.pod.disruption.reason",
    "Why the cluster ends it, by its condition DisruptionTarget: `EvictionByEvictionAPI` (a drain), "
    "`PreemptionByScheduler`, `DeletionByTaintManager`, …",
)
POD_RESOURCE: Final = _OURS.family(
    "kgents.k8s.pod.{resource}.{bound}",
    "Request or limit, summed over its containers; no limit if one container has none. Units as of capacity.",
)
POD_HOST_NETWORK: Final = _attribute("kgents.k8s.pod.host_network", "Whether it shares its node's addresses.")
POD_PRIORITY_CLASS_NAME: Final = _attribute("kgents.k8s.pod.priority_class.name", "Its priority class.")
POD_QOS_CLASS: Final = _attribute("kgents.k8s.pod.qos_class", "`Guaranteed`, `Burstable` or `BestEffort`.")
POD_RESTART_COUNT: Final = _attribute("kgents.k8s.pod.restart_count", "Summed over its containers.")
POD_STATUS_LAST_TERMINATED_EXIT_CODE: Final = _attribute(
    "kgents.k8s.pod.status.last_terminated_exit_code", "Of that of its containers which was restarted last."
)
POD_STATUS_LAST_TERMINATED_REASON: Final = _attribute(
    "kgents.k8s.pod.status.last_terminated_reason", "Of that of its containers which was restarted last."
)
REFERENCE: Final = _attribute(
    "kgents.k8s.reference", "Of a connection: the places that name it: `env`, `envFrom`, `volume`, `projected`, …"
)
REFERENCE_OPTIONAL: Final = _attribute(
    "kgents.k8s.reference.optional", "Of a connection: whether the pod starts without it."
)
REPLICASET_READY_PODS: Final = _attribute("kgents.k8s.replicaset.ready_pods", "Pods that are ready.")
ROUTE_MATCHES: Final = _attribute("kgents.k8s.route.matches", "Of a connection: the paths or methods that lead there.")
SERVICE_ENDPOINT_PORTS: Final = _attribute(
    "kgents.k8s.service.endpoint.ports", "Of a connection: `name:port/protocol` at which the pod answers."
)
SERVICE_ENDPOINT_READY: Final = _attribute(
    "kgents.k8s.service.endpoint.ready", "Of a connection: whether the endpoint receives requests."
)
SERVICE_ENDPOINT_SERVING: Final = _attribute(
    "kgents.k8s.service.endpoint.serving",
    "Of a connection: whether the endpoint could serve, also while it terminates.",
)
SERVICE_ENDPOINT_TERMINATING: Final = _attribute(
    "kgents.k8s.service.endpoint.terminating", "Of a connection: whether the endpoint terminates."
)
SERVICE_ENDPOINTS: Final = _attribute("kgents.k8s.service.endpoints", "How many pods or addresses are behind it.")
SERVICE_READY_ENDPOINTS: Final = _attribute(
    "kgents.k8s.service.ready_endpoints", "How many of them are ready, or still serve while they terminate."
)
SERVICE_PORTS: Final = _attribute("kgents.k8s.service.ports", "`name:port→target/protocol`.")
SERVICE_ACCOUNT_NAME: Final = _attribute(
    "kgents.k8s.service_account.name", "The account under which its containers act."
)
WORKLOAD_IMAGES: Final = _attribute(
    "kgents.k8s.workload.images", "`container=image` of its pod template, also while it has no pod."
)

ATTRIBUTES: Final = tuple(_OURS.declared)
