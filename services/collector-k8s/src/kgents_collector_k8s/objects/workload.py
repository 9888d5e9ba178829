"""Workloads, which make pods: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob."""

from datetime import datetime

from kgents_collector_k8s.objects.metadata import Condition, Lean, Metadata, ObjectReference
from kgents_collector_k8s.objects.pod import PodTemplate


class RollingUpdate(Lean, frozen=True, gc=False):
    """The setting that decides when a StatefulSet's rolling update is complete."""

    partition: int | None = None


class UpdateStrategy(Lean, frozen=True):
    """How pods are replaced: `RollingUpdate`, `Recreate` or `OnDelete`."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class ReplicatedSpec(Lean, frozen=True):
    """`spec` of a Deployment, ReplicaSet, StatefulSet or DaemonSet, each with the fields it has."""

    replicas: int = 1
    paused: bool = False
    template: PodTemplate = PodTemplate()
    service_name: str = ""
    update_strategy: UpdateStrategy = UpdateStrategy()


class ReplicatedStatus(Lean, frozen=True):
    """`status` of a Deployment, ReplicaSet or StatefulSet, each with the fields it has."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""
    conditions: list[Condition] | None = None


class Deployment(Lean, frozen=True):
    """`apps/v1` Deployment."""

    metadata: Metadata
    spec: ReplicatedSpec = ReplicatedSpec()
    status: ReplicatedStatus = ReplicatedStatus()


class ReplicaSet(Lean, frozen=True):
    """`apps/v1` ReplicaSet."""

    metadata: Metadata
    spec: ReplicatedSpec = ReplicatedSpec()
    status: ReplicatedStatus = ReplicatedStatus()


class StatefulSet(Lean, frozen=True):
    """`apps/v1` StatefulSet."""

    metadata: Metadata
    spec: ReplicatedSpec = ReplicatedSpec()
    status: ReplicatedStatus = ReplicatedStatus()


class DaemonSetStatus(Lean, frozen=True, gc=False):
    """A DaemonSet counts nodes, not replicas."""

    observed_generation: int = 0
    desired_number_scheduled: int = 0
    current_number_scheduled: int = 0
    updated_number_scheduled: int = 0
    number_ready: int = 0
    number_available: int = 0
    number_misscheduled: int = 0


class DaemonSet(Lean, frozen=True):
    """`apps/v1` DaemonSet."""

    metadata: Metadata
    spec: ReplicatedSpec = ReplicatedSpec()
    status: DaemonSetStatus = DaemonSetStatus()


class JobSpec(Lean, frozen=True):
    """The desired Job."""

    parallelism: int | None = None
    completions: int | None = None
    suspend: bool | None = None
    template: PodTemplate = PodTemplate()


class JobStatus(Lean, frozen=True):
    """The progress of a Job."""

    active: int = 0
    succeeded: int = 0
    failed: int = 0
    conditions: list[Condition] | None = None


class Job(Lean, frozen=True):
    """`batch/v1` Job."""

    metadata: Metadata
    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()


class JobTemplate(Lean, frozen=True):
    """`spec.jobTemplate` of a CronJob."""

    spec: JobSpec = JobSpec()


class CronJobSpec(Lean, frozen=True):
    """When to start which Job."""

    schedule: str = ""
    time_zone: str | None = None
    suspend: bool | None = None
    concurrency_policy: str = ""
    job_template: JobTemplate = JobTemplate()


class CronJobStatus(Lean, frozen=True):
    """The runs of a CronJob."""

    active: list[ObjectReference] | None = None
    """The Jobs that run now."""
    last_schedule_time: datetime | None = None
    """When the last run was due that was started."""


class CronJob(Lean, frozen=True):
    """`batch/v1` CronJob."""

    metadata: Metadata
    spec: CronJobSpec = CronJobSpec()
    status: CronJobStatus = CronJobStatus()
