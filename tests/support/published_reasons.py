"""Which reasons collectors publish, of which kinds and with which status: what checks must know what to make of."""

from kgents_shared.contract.vocabulary import kinds

PODS, WORKLOADS = ("pod", "container"), ("deployment", "replicaset", "statefulset", "daemonset")
CANNOT_RUN = (
    "CrashLoopBackOff", "OOMKilled", "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName",
    "ImageInspectError", "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "Error",
    "ExitCode:3", "Signal:9", "Init:Error", "Init:CrashLoopBackOff", "Init:ImagePullBackOff", "StartError",
    "ContainerCannotRun", "DeadlineExceeded", "ContainerStatusUnknown", "PostStartHookError",
)  # fmt: skip
"""The kubelet's own words."""
OVER = ("Evicted", "NeverStarted", "DeadlineExceeded", "NodeShutdown", "Preempting", "UnexpectedAdmissionError")
"""Of a pod whose phase is Failed."""
SERVER_DOWN = ("refused", "unreachable", "frozen")
NO_ACCESS = (
    "wrong credentials", "missing privilege", "pooler", "tls", "unreadable", "unknown name", "own limit", "own network",
)  # fmt: skip
"""Why collector-db cannot read a database that may be well."""

Published = tuple[tuple[str, ...], str, tuple[str, ...]]

KUBERNETES: list[Published] = [
    (PODS, "failed", CANNOT_RUN + OVER),
    (PODS, "running", ("NotReady",)),
    (PODS, "pending", ("Unschedulable", "ContainerCreating", "PodInitializing", "Init:1/3", "SchedulingGated",
                       "Completed")),
    (("pod",), "succeeded", ("Completed",)),
    (("container",), "succeeded", ("Completed", "Error")),
    (PODS, "unknown", ("Unknown", "NodeLost")),
    (PODS, "terminating", ("",)),
    (WORKLOADS, "running", ("SpecNotObserved", "Paused", "ReplicaFailure", "Updating", "TerminatingOldPods",
                            "WaitingForPods", "PodsNotReady", "ScaledToZero")),
    (WORKLOADS, "pending", ("SpecNotObserved", "ReplicaFailure", "Updating", "TerminatingOldPods", "WaitingForPods",
                            "PodsNotReady", "Paused")),
    (("deployment",), "running", ("ProgressDeadlineExceeded",)),
    (("deployment",), "failed", ("ProgressDeadlineExceeded",)),
    (("daemonset",), "running", ("Misscheduled",)),
    (("job",), "failed", ("BackoffLimitExceeded", "DeadlineExceeded")),
    (("job",), "running", ("FailureTarget", "SuccessCriteriaMet")),
    (("job",), "pending", ("Suspended",)),
    (("cronjob",), "running", ("Suspended", "WaitingForJob")),
    (("service",), "running", ("LoadBalancerPending", "NoEndpoints", "SelectorMatchesNothing")),
    (("service",), "pending", ("NoReadyEndpoints",)),
    (("node",), "failed", ("NotReady", "NotReady,SchedulingDisabled")),
    (("node",), "unknown", ("NoReadyCondition",)),
    (("node",), "running", ("SchedulingDisabled", "DiskPressure", "MemoryPressure", "PIDPressure",
                            "NetworkUnavailable", "DiskPressure,SchedulingDisabled")),
    ((kinds.HPA,), "pending", ("FailedGetResourceMetric",)),
    ((kinds.HPA,), "running", ("ScalingDisabled", "TooManyReplicas")),
    (("volume",), "running", ("Released", "Resizing", "FileSystemResizePending", "ControllerResizeError",
                              "NodeResizeError")),
    (("volume",), "failed", ("Lost", "Failed")),
    (("gateway", "httproute", "grpcroute"), "pending", ("Pending", "NotAccepted")),
    (("gateway", "httproute", "grpcroute"), "failed", ("Invalid",)),
    (("configmap", "secret"), "running", ("Referenced",)),
]  # fmt: skip
DOCKER: list[Published] = [
    (("container",), "pending", ("Created", "Restarting", "Paused", "Starting", "OOMKilled")),
    (("container",), "terminating", ("Stopping", "Removing")),
    (("container",), "failed", ("Dead", "CrashLoopBackOff", "StartError", "Unhealthy", "OOMKilled", "Killed", "Error")),
    (("container",), "succeeded", ("Completed", "Stopped", "EndNotObserved")),
]
NATS: list[Published] = [
    (("nats_server",), "running", ("JetStreamUnavailable",)),
    (("nats_server",), "terminating", ("LameDuck",)),
    (("nats_server",), "pending", ("Starting",)),
    (("nats_stream", "nats_consumer"), "failed", ("NoLeader",)),
    (("nats_consumer",), "pending", ("Paused",)),
]
DATABASES: list[Published] = [
    (("database", "pooler"), "failed", SERVER_DOWN),
    (("database", "pooler"), "pending", ("starting",)),
    (("database", "pooler"), "running", ("saturated",)),
    (("database", "pooler"), "unknown", NO_ACCESS),
    (("database",), "running", ("missing privilege",)),
]
ALL = [*KUBERNETES, *DOCKER, *NATS, *DATABASES]
