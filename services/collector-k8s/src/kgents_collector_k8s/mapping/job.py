"""Work that ends: Job and CronJob → entities, by the words of `kubectl get jobs`."""

from typing import Final

from kgents_collector_k8s.mapping.fragment import Fragment, Kind, Scope
from kgents_collector_k8s.mapping.thing import Attributes, Status, owner_of
from kgents_collector_k8s.mapping.workload import workload
from kgents_collector_k8s.objects.metadata import condition, holds
from kgents_collector_k8s.objects.pod import PodSpec
from kgents_collector_k8s.objects.workload import CronJob, Job
from kgents_shared.contract.vocabulary import kinds


def job(found: Job, scope: Scope) -> Fragment:
    """A Job. Of one that a CronJob made, the CronJob carries what configures it."""
    attributes: Attributes = {
        "k8s.job.desired_successful_pods": found.spec.completions,
        "k8s.job.max_parallel_pods": found.spec.parallelism,
        "k8s.job.active_pods": found.status.active,
        "k8s.job.successful_pods": found.status.succeeded,
        "k8s.job.failed_pods": found.status.failed,
    }
    owner = owner_of(found.metadata)
    template = found.spec.template.spec if owner is None or owner.api_kind != "CronJob" else PodSpec()
    return workload(found.metadata, "job", scope, template, status=_status(found), attributes=attributes)


def cronjob(found: CronJob, scope: Scope) -> Fragment:
    """A CronJob. When it last ran is told by its Jobs: here it would be news at each run."""
    spec = found.spec
    attributes: Attributes = {
        "k8s.cronjob.schedule": spec.schedule,
        "k8s.cronjob.time_zone": spec.time_zone,
        "k8s.cronjob.concurrency_policy": spec.concurrency_policy,
    }
    return workload(
        found.metadata,
        "cronjob",
        scope,
        spec.job_template.spec.template.spec,
        status=("running", "Suspended" if spec.suspend else ""),
        attributes=attributes,
        at="spec.jobTemplate.spec.template.spec",
    )


def _status(found: Job) -> Status:
    status = found.status
    if holds(status.conditions, "Complete"):
        return "succeeded", ""
    if holds(status.conditions, "Failed"):
        failed = condition(status.conditions, "Failed")
        return "failed", failed.reason if failed is not None else ""
    if holds(status.conditions, "Suspended"):
        return "pending", "Suspended"
    for verdict in ("FailureTarget", "SuccessCriteriaMet"):  # reached; the pods that are left come to their end
        if holds(status.conditions, verdict):
            return "running", verdict
    return "running" if status.active else "pending", ""


JOB: Final = Kind(kinds.JOB, "Job", "batch", "v1", "jobs", Job, job)
CRONJOB: Final = Kind(kinds.CRONJOB, "CronJob", "batch", "v1", "cronjobs", CronJob, cronjob)
