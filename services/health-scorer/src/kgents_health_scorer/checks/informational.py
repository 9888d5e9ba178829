"""Reasons that collectors publish and no check judges, each with why. Pure.

A reason says why a status is what it is. One that means trouble must be read by a check, or by those of its status:
what is failed, pending, unknown or terminating is judged by that alone. A test holds that every other one is here.
"""

from typing import Final

INFORMATIONAL: Final[dict[str, str]] = {
    # Kubernetes
    "Completed": "It ended well.",
    "container Error": "Of a sidecar that was stopped when its pod completed.",
    "container NotReady": "Its pod is judged for it (KG-043).",
    "FailureTarget": "A Job that will have failed (KG-001) once its pods have ended.",
    "FileSystemResizePending": "A claim that grows when its pod starts the next time, which no one needs to hasten.",
    "NoEndpoints": "A Service whose workload has no pods now: it is scaled to zero, or they are about to be made.",
    "PodsNotReady": "Judged by the counts: KG-023 for some pods, KG-041 for all.",
    "Referenced": "A ConfigMap or Secret is only known to be named; whether it exists is not read.",
    "Released": "A volume whose claim was deleted and which is kept, as its reclaim policy says.",
    "Resizing": "A claim that is being resized; KG-057 says when that failed.",
    "ScaledToZero": "Planned.",
    "ScalingDisabled": "Planned: the target of the autoscaler is scaled to zero.",
    "SchedulingDisabled": "Planned: the node is cordoned. KG-045 says when it does not come back.",
    "SchedulingGated": "Planned: another controller decides when the pod may be scheduled.",
    "SpecNotObserved": "A step of a rollout, of a second; KG-004 and KG-023 judge how long pods are missing.",
    "SuccessCriteriaMet": "A Job that will have completed once its pods have ended.",
    "Suspended": "Planned.",
    "TerminatingOldPods": "A step of a rollout; KG-050 says when a pod does not end.",
    "Updating": "A step of a rollout; KG-052 says when it is stuck, KG-023 how many pods are ready.",
    "WaitingForJob": "A CronJob whose Job still runs, beside which no other may run.",
    "WaitingForPods": "A step of a rollout; KG-004, KG-023 and KG-052 judge how long it takes.",
    # Docker
    "EndNotObserved": "It was killed before the collector knew it, maybe on purpose.",
    "Removing": "Planned.",
    "Stopped": "Planned: someone stopped it.",
    "Stopping": "Planned: someone is stopping it.",
    # Docker and NATS
    "Paused": "Planned: someone paused it.",
    # Databases
    "saturated": "It takes no more connections: its figures say so too (KG-301, KG-321, KG-331).",
    # NATS
    "LameDuck": "Planned: the server leaves, and sends its clients to others before.",
}
"""Reason, or kind and reason → why nothing needs to be done about it."""
