"""Our own attribute names: what OpenTelemetry's semantic conventions have no name for. Pure data, for readers.

All other attributes are OpenTelemetry's, attributes and metrics alike: a Deployment's `k8s.deployment.desired_pods` is
state to us. `<resource>` is `cpu` (in cores), `memory` or `ephemeral_storage` (in bytes).
"""

from typing import Final

EXTENSIONS: Final[dict[str, str]] = {
    "k8s.container.type": "`app`, `init`, `sidecar` or `ephemeral`",
    "k8s.container.status.last_terminated_exit_code": "with which it ended before it was started again",
    "k8s.cronjob.concurrency_policy": "`Allow`, `Forbid` or `Replace`",
    "k8s.cronjob.schedule": "in cron's notation",
    "k8s.cronjob.time_zone": "in which the schedule is meant",
    "k8s.deployment.ready_pods": "pods that are ready",
    "k8s.deployment.updated_pods": "pods of the newest revision",
    "k8s.gateway.class": "who serves it",
    "k8s.gateway.listeners": "of a Gateway: `name:port/protocol`; of a connection to one: the names it attaches to",
    "k8s.gateway.uid": "as of every kind",
    "k8s.grpcroute.hostnames": "for which it takes requests",
    "k8s.grpcroute.uid": "as of every kind",
    "k8s.httproute.hostnames": "for which it takes requests",
    "k8s.httproute.uid": "as of every kind",
    "k8s.ingress.class": "who serves it",
    "k8s.ingress.rules": "of a connection: the hosts and paths that lead there, `*` for all the rest",
    "k8s.ingress.uid": "as of every kind",
    "k8s.kubelet.version": "of a node",
    "k8s.namespace.uid": "as of every kind",
    "k8s.networkpolicy.policy_types": "`Ingress`, `Egress`",
    "k8s.networkpolicy.uid": "as of every kind",
    "k8s.node.conditions": "the types of those that hold",
    "k8s.node.<resource>.capacity": "what the machine has",
    "k8s.node.pod.capacity": "how many pods it may hold",
    "k8s.node.roles": "by its labels",
    "k8s.node.taints": "`key=value:effect`",
    "k8s.node.unschedulable": "cordoned",
    "k8s.persistentvolume.access_modes": "`ReadWriteOnce`, …",
    "k8s.persistentvolume.csi.driver": "who keeps it",
    "k8s.persistentvolume.csi.volume_handle": "how its keeper calls it",
    "k8s.persistentvolume.volume_mode": "`Filesystem` or `Block`",
    "k8s.persistentvolumeclaim.access_modes": "`ReadWriteOnce`, …",
    "k8s.persistentvolumeclaim.volume_mode": "`Filesystem` or `Block`",
    "k8s.pod.<resource>.limit": "summed over its containers; left out if one has none",
    "k8s.pod.<resource>.request": "summed over its containers",
    "k8s.pod.host_network": "whether it shares its node's addresses",
    "k8s.pod.priority_class.name": "who goes first when room is short",
    "k8s.pod.qos_class": "`Guaranteed`, `Burstable` or `BestEffort`",
    "k8s.pod.restart_count": "summed over its containers",
    "k8s.pod.status.last_terminated_reason": "of its containers that were started again; `OOMKilled` before all others",
    "k8s.reference": "of a connection: the places that name it: `env`, `envFrom`, `volume`, `projected`, …",
    "k8s.reference.optional": "of a connection: whether the pod starts without it",
    "k8s.replicaset.ready_pods": "pods that are ready",
    "k8s.route.matches": "of a connection: the paths or methods that lead there",
    "k8s.service.ports": "`name:port→target/protocol`",
    "k8s.service_account.name": "as whom its containers act",
    "os.kernel.version": "of a node",
}
"""Name → what it says."""
