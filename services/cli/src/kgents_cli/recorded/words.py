"""Words that say nothing of whose system it is: the vocabulary, and conditions of what is observed. Pure.

What a redacted recording keeps: everything else in it is a name. Checks judge by these words, so a redacted recording
is judged as the original is.
"""

import re
from typing import Final

from kgents_shared.contract.entity import STATUSES
from kgents_shared.contract.event import SEVERITIES
from kgents_shared.contract.meta import HEARTBEAT_STATES
from kgents_shared.contract.pulse import ALL, PHASES
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.vocabulary import edges, kinds, reasons
from kgents_shared.contract.vocabulary.attributes import ATTRIBUTES
from kgents_shared.contract.vocabulary.figures import FIGURES
from kgents_shared.contract.wire import REMOVE

SOURCES: Final = frozenset({"k8s", "docker", "db", "nats", "otel", "host"})

_CONDITIONS: Final = """
Active Available Bound Completed ContainerCreating ControllerResizeError CrashLoopBackOff
CreateContainerConfigError CreateContainerError DeadlineExceeded DiskPressure ErrImageNeverPull ErrImagePull
Error Evicted Failed FileSystemResizePending ImageInspectError ImagePullBackOff InvalidImageName
JetStreamUnavailable Killed LameDuck LoadBalancerPending MemoryPressure Misscheduled NetworkUnavailable NodeLost
NodeResizeError NoEndpoints NoLeader NoReadyEndpoints Normal NotAccepted NotReady NotResponding OOMKilled
OOMKilling PIDPressure Paused Pending PodInitializing PodsNotReady Progressing ProgressDeadlineExceeded ReadOnly
Ready Refused Released ReplicaFailure Resizing Restarting RollingUpdate Running ScaledToZero SchedulingDisabled
SchedulingGated SelectorMatchesNothing SpecNotObserved StartError Stopped Stopping Succeeded Suspended SystemOOM
Terminating TooManyReplicas Unhealthy Unknown Unreachable Updating VolumeFailedDelete WaitingForJob
WaitingForPods Warning WrongCredentials BackOff Created Started Pulled Pulling Scheduled FailedScheduling
ScalingReplicaSet SuccessfulCreate SuccessfulDelete FailedCreate FailedMount NodeNotReady Rebooted always
unless-stopped on-failure no never new old file memory limits interest workqueue err ok refused saturated
starting stopping silent unreachable unknown pooler tls unreadable exited killed dumped exit-code oom-kill
signal timeout start-limit core-dump watchdog resources linux amd64 arm64 tcp udp tls true false primary standby
master replica postgresql postgres redis valkey qdrant pgbouncer nats http grpc configured inferred known
"""
_PHRASES: Final = ("own limit", "wrong credentials", "missing privilege", "too many connections", "not responding")

WORDS: Final = frozenset(
    (
        *kinds.KINDS,
        *edges.CONNECTION_KINDS,
        *STATUSES,
        *SEVERITIES,
        *PHASES,
        *HEARTBEAT_STATES,
        *SOURCES,
        *(f"collector-{source}" for source in SOURCES),
        *reasons.REASONS,
        *(each.name for each in ATTRIBUTES),
        *(each.name for each in FIGURES),
        *NAME_BY_SIGNAL.values(),
        *re.findall(r"\S+", _CONDITIONS),
        *_PHRASES,
        *("upsert", REMOVE, "in", "out", ALL, "kgents"),
    )
)
"""Everything that is kept."""

PREFIXES: Final = frozenset(
    {"container-id", "pod-uid", "host-id", "docker-engine-id", "loopback", "network-id", "postgresql-primary"}
)
"""What an alias may begin with, before a colon."""


def is_word(text: str) -> bool:
    """Whether it may be kept; of conditions separated by commas, whether all of them may."""
    return all(each in WORDS for each in text.split(","))
