import pytest

from support.k8s_objects import Raw, edges, load, mapped

AVAILABLE = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}
UNAVAILABLE = {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable"}
ROLLING = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}
COMPLETE = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
LATE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
REFUSED = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}


def standing(name: str, spec: Raw | None = None, status: Raw | None = None, **metadata: object) -> tuple[str, str]:
    raw = load(name)
    raw["metadata"].update(metadata)
    raw["spec"].update(spec or {})
    raw["status"].update(status or {})
    found = mapped(raw).entities[0]
    return found.status, found.reason


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({}, {}, ("running", "")),
        ({}, {"observedGeneration": 3}, ("running", "SpecNotObserved")),
        ({}, {"observedGeneration": 3, "conditions": []}, ("running", "SpecNotObserved")),
        ({}, {"observedGeneration": 3, "availableReplicas": 0}, ("pending", "SpecNotObserved")),
        ({}, {"conditions": [AVAILABLE, LATE], "updatedReplicas": 1}, ("running", "ProgressDeadlineExceeded")),
        ({}, {"conditions": [UNAVAILABLE, LATE], "availableReplicas": 0}, ("failed", "ProgressDeadlineExceeded")),
        ({}, {"observedGeneration": 3, "conditions": [AVAILABLE, LATE]}, ("running", "SpecNotObserved")),
        ({}, {"updatedReplicas": 1}, ("running", "Updating")),
        ({}, {"updatedReplicas": 0, "availableReplicas": 0, "conditions": [UNAVAILABLE]}, ("pending", "Updating")),
        ({}, {"replicas": 4}, ("running", "TerminatingOldPods")),
        ({}, {"availableReplicas": 2, "conditions": [ROLLING]}, ("running", "WaitingForPods")),
        ({}, {"availableReplicas": 0, "conditions": [ROLLING, UNAVAILABLE]}, ("pending", "WaitingForPods")),
        ({}, {"availableReplicas": 2, "conditions": [COMPLETE]}, ("running", "PodsNotReady")),
        ({}, {"availableReplicas": 1, "conditions": [COMPLETE, UNAVAILABLE]}, ("running", "PodsNotReady")),
        ({}, {"availableReplicas": 0, "conditions": [COMPLETE, UNAVAILABLE]}, ("pending", "PodsNotReady")),
        ({}, {"availableReplicas": 0, "conditions": []}, ("pending", "WaitingForPods")),
        ({"paused": True}, {"updatedReplicas": 1}, ("running", "Paused")),
        ({}, {"conditions": [REFUSED], "updatedReplicas": 1}, ("running", "ReplicaFailure")),
        ({}, {"conditions": [REFUSED], "updatedReplicas": 0, "availableReplicas": 0}, ("pending", "ReplicaFailure")),
        (
            {"replicas": 0},
            {"replicas": 0, "updatedReplicas": 0, "availableReplicas": 0, "readyReplicas": 0},
            ("running", "ScaledToZero"),
        ),
    ],
)
def test_a_deployment_is_as_far_as_kubectl_says(spec: Raw, status: Raw, expected: tuple[str, str]) -> None:
    assert standing("deployment", spec, status) == expected


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({}, {"updatedReplicas": 2, "currentRevision": "db-2"}, ("running", "")),
        ({}, {"updatedReplicas": 1}, ("running", "Updating")),
        ({}, {"readyReplicas": 1, "updatedReplicas": 2}, ("running", "WaitingForPods")),
        ({}, {"readyReplicas": 0}, ("pending", "WaitingForPods")),
        ({}, {"observedGeneration": 0}, ("running", "SpecNotObserved")),
        ({"updateStrategy": {"rollingUpdate": {"partition": 1}}}, {"updatedReplicas": 1}, ("running", "")),
        ({"updateStrategy": {"type": "RollingUpdate"}}, {"updatedReplicas": 2}, ("running", "Updating")),
        ({"updateStrategy": {"type": "OnDelete"}}, {"updatedReplicas": 0}, ("running", "")),
        ({}, {"readyReplicas": 0, "currentRevision": "db-2"}, ("pending", "PodsNotReady")),
        ({}, {"readyReplicas": 0, "currentRevision": "db-2", "replicas": 1}, ("pending", "WaitingForPods")),
        ({"replicas": 0}, {"readyReplicas": 0, "updatedReplicas": 0}, ("running", "ScaledToZero")),
    ],
)
def test_a_statefulset_is_as_far_as_kubectl_says(spec: Raw, status: Raw, expected: tuple[str, str]) -> None:
    assert standing("statefulset", spec, status) == expected


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({}, {"numberMisscheduled": 0}, ("running", "")),
        ({}, {}, ("running", "Misscheduled")),
        ({}, {"updatedNumberScheduled": 2}, ("running", "Updating")),
        ({"updateStrategy": {"type": "OnDelete"}}, {"updatedNumberScheduled": 2}, ("running", "Misscheduled")),
        ({}, {"numberAvailable": 2}, ("running", "PodsNotReady")),
        ({}, {"numberAvailable": 0}, ("pending", "PodsNotReady")),
        ({}, {"numberAvailable": 0, "currentNumberScheduled": 1}, ("pending", "WaitingForPods")),
        ({}, {"observedGeneration": 0}, ("running", "SpecNotObserved")),
        ({}, {"desiredNumberScheduled": 0, "numberAvailable": 0, "numberMisscheduled": 0}, ("running", "")),
    ],
)
def test_a_daemonset_is_as_far_as_kubectl_says(spec: Raw, status: Raw, expected: tuple[str, str]) -> None:
    assert standing("daemonset", spec, status) == expected


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({}, {}, ("running", "")),
        ({}, {"active": 0}, ("pending", "")),
        ({}, {"conditions": [{"type": "Complete", "status": "True"}]}, ("succeeded", "")),
        ({}, {"conditions": [{"type": "Suspended", "status": "True"}]}, ("pending", "Suspended")),
        ({}, {"conditions": [{"type": "FailureTarget", "status": "True"}]}, ("running", "FailureTarget")),
        ({}, {"conditions": [{"type": "Failed", "status": "False"}]}, ("running", "")),
    ],
)
def test_a_job_is_what_kubectl_says(spec: Raw, status: Raw, expected: tuple[str, str]) -> None:
    assert standing("job", spec, status) == expected


def test_a_failed_job_says_why() -> None:
    assert standing("job_failed") == ("failed", "BackoffLimitExceeded")


def test_a_job_whose_success_criteria_are_met_waits_for_nothing_but_its_pods() -> None:
    status = {"conditions": [{"type": "SuccessCriteriaMet", "status": "True"}], "succeeded": 1}
    assert standing("job", status=status) == ("running", "SuccessCriteriaMet")


def test_a_suspended_cronjob_says_so() -> None:
    assert standing("cronjob", {"concurrencyPolicy": "Allow"}) == ("running", "")
    assert standing("cronjob") == ("running", "WaitingForJob")  # it runs, and no other may run beside it
    assert standing("cronjob", status={"active": []}) == ("running", "")
    assert standing("cronjob", {"suspend": True}) == ("running", "Suspended")


@pytest.mark.parametrize("name", ["deployment", "statefulset", "daemonset", "job", "cronjob"])
def test_a_workload_that_waits_for_its_finalizers_is_terminating(name: str) -> None:
    assert standing(name, deletionTimestamp="2026-11-21T09:00:00Z") == ("terminating", "")


def test_a_failed_job_stays_failed_while_it_is_deleted() -> None:
    assert standing("job_failed", deletionTimestamp="2026-11-21T09:00:00Z")[0] == "failed"


def test_the_replicaset_of_a_deployment_is_only_a_step_to_it() -> None:
    fragment = mapped(load("replicaset"))
    assert fragment.entities == []
    assert fragment.owner is not None
    assert (fragment.owner.api_kind, fragment.owner.name) == ("Deployment", "cart")


def test_the_replicaset_of_anything_else_is_shown() -> None:
    fragment = mapped(load("replicaset_rollout"))
    assert fragment.entities[0].ref.kind == "replicaset"
    assert (fragment.entities[0].status, fragment.entities[0].reason) == ("running", "PodsNotReady")
    assert fragment.owner is not None
    assert (fragment.owner.api_kind, fragment.owner.api_group) == ("Rollout", "argoproj.io")


def test_a_shared_claim_is_a_workloads_own() -> None:
    assert ("volume", "out", "volume shop/shared") in edges(mapped(load("statefulset")).entities[0])


NEXT = "kgents.k8s.cronjob.next_schedule_time"


def test_a_cronjob_says_when_its_next_run_is_due() -> None:
    raw = load("cronjob")
    raw["status"] = {"lastScheduleTime": "2026-11-22T03:00:00Z", "active": []}
    assert mapped(raw).entities[0].attributes[NEXT] == "2026-11-23T03:00:00Z"  # four o'clock in Berlin
    del raw["status"]["lastScheduleTime"]  # made at 2026-11-20T08:00:00Z
    assert mapped(raw).entities[0].attributes[NEXT] == "2026-11-21T03:00:00Z"


def test_no_run_of_a_cronjob_is_due_while_it_is_suspended_or_waits_for_the_last_one() -> None:
    raw = load("cronjob")
    assert NEXT not in mapped(raw).entities[0].attributes
    raw["spec"]["concurrencyPolicy"] = "Allow"
    assert NEXT in mapped(raw).entities[0].attributes
    raw["spec"]["suspend"] = True
    assert NEXT not in mapped(raw).entities[0].attributes
