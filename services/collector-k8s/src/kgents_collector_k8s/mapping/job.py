"""Work that ends: Job and CronJob → entities, with the status that `kubectl get jobs` shows."""

from typing import Final

from kgents_collector_k8s.mapping.entity import Attributes, Status, owner_of
from kgents_collector_k8s.mapping.fragment import Fragment, Kind, Scope
from kgents_collector_k8s.mapping.schedule import next_run
from kgents_collector_k8s.mapping.workload import workload
from kgents_collector_k8s.objects.metadata import condition, holds
from kgents_collector_k8s.objects.pod import PodTemplate
from kgents_collector_k8s.objects.workload import CronJob, Job
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute
from kgents_shared.contract.vocabulary.attributes import otel


def job(found: Job, scope: Scope) -> Fragment:
    """A Job. If a CronJob made it, ConfigMaps and Secrets are connected to the CronJob instead."""
    attributes: Attributes = {
        otel.K8S_JOB_DESIRED_SUCCESSFUL_PODS: found.spec.completions,
        otel.K8S_JOB_MAX_PARALLEL_PODS: found.spec.parallelism,
        otel.K8S_JOB_ACTIVE_PODS: found.status.active,
        otel.K8S_JOB_SUCCESSFUL_PODS: found.status.succeeded,
        otel.K8S_JOB_FAILED_PODS: found.status.failed,
    }
    owner = owner_of(found.metadata)
    template = found.spec.template
    if owner is not None and owner.api_kind == "CronJob":
        template = PodTemplate(template.metadata)
    return workload(found.metadata, "job", scope, template, status=_status(found), attributes=attributes)


def cronjob(found: CronJob, scope: Scope) -> Fragment:
    """A CronJob. Its runs are its Jobs; of its status only that is read by which a missed run is found."""
    spec = found.spec
    attributes: Attributes = {
        attribute.CRONJOB_SCHEDULE: spec.schedule,
        attribute.CRONJOB_TIME_ZONE: spec.time_zone,
        attribute.CRONJOB_CONCURRENCY_POLICY: spec.concurrency_policy,
        attribute.CRONJOB_NEXT_SCHEDULE_TIME: _next_run(found),
    }
    return workload(
        found.metadata,
        "cronjob",
        scope,
        spec.job_template.spec.template,
        status=("running", _waits_for(found)),
        attributes=attributes,
        at="spec.jobTemplate.spec.template.spec",
    )


def _waits_for(found: CronJob) -> str:
    """Why it starts no Job on schedule; empty when it does."""
    if found.spec.suspend:
        return "Suspended"
    return "WaitingForJob" if found.spec.concurrency_policy == "Forbid" and found.status.active else ""


def _next_run(found: CronJob) -> str | None:
    """When the next run is due; None when none is."""
    spec, status = found.spec, found.status
    last = status.last_schedule_time or found.metadata.creation_timestamp
    if last is None or _waits_for(found):
        return None
    due = next_run(spec.schedule, spec.time_zone or "", last)
    return due.isoformat().replace("+00:00", "Z") if due is not None else None


def _status(found: Job) -> Status:
    status = found.status
    if holds(status.conditions, "Complete"):
        return "succeeded", ""
    if holds(status.conditions, "Failed"):
        failed = condition(status.conditions, "Failed")
        return "failed", failed.reason if failed is not None else ""
    if holds(status.conditions, "Suspended"):
        return "pending", "Suspended"
    for verdict in ("FailureTarget", "SuccessCriteriaMet"):  # reached; the remaining pods are ending
        if holds(status.conditions, verdict):
            return "running", verdict
    return "running" if status.active else "pending", ""


JOB: Final = Kind(kinds.JOB, "Job", "batch", "v1", "jobs", Job, job)
CRONJOB: Final = Kind(kinds.CRONJOB, "CronJob", "batch", "v1", "cronjobs", CronJob, cronjob)
