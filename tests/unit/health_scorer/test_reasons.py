"""Every reason that a collector publishes is read by a check, or declared as one about which nothing is to be done."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.checks.check import AgeCheck, RestartCheck, State, StateCheck
from kgents_health_scorer.checks.informational import INFORMATIONAL
from kgents_health_scorer.checks.kubernetes import lost_service
from kgents_health_scorer.score import severity
from kgents_shared.contract.entity import Ref
from support.health_inputs import entity
from support.published_reasons import ALL

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
LONG_S = 86_400.0
PUBLISHED = sorted({(kind, status, reason) for kinds, status, reasons in ALL for kind in kinds for reason in reasons})
MODULES = [
    *(ROOT / "services/collector-k8s/src/kgents_collector_k8s/mapping").glob("*.py"),
    *(ROOT / "services/collector-docker/src/kgents_collector_docker/mapping").glob("*.py"),
    *(ROOT / "services/collector-nats/src/kgents_collector_nats/mapping").glob("*.py"),
]
WORD = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]*)*|[A-Z]+[a-z]\w+")
OTHER_WORDS = """
    ConfigMap CronJob DaemonSet Deployment EndpointSlice GRPCRoute Gateway HTTPRoute HorizontalPodAutoscaler Ingress
    Job Namespace NetworkPolicy Node PersistentVolume PersistentVolumeClaim Pod ReplicaSet Secret Service StatefulSet
    AbleToScale ScalingActive ScalingLimited Accepted Programmed ResolvedRefs Complete Failed Forbid Active
    Terminating ExternalIP InternalIP Hostname InternalDNS ExternalDNS Ready True False Always Succeeded Initialized
    PodScheduled Running NewReplicaSetAvailable Progressing RollingUpdate LoadBalancer None Available Bound Egress
    Ei Gi Ki Mi Pi Ti Image Mounts Normal Warning DisruptionTarget
"""
"""Kinds, conditions, phases, policies, values of fields, units."""
NOT_REASONS = frozenset(OTHER_WORDS.split())
"""Words in mappings that are no reason of a status."""
WITHOUT_STATUS = ("event.py", "advisory.py")
"""Modules that map events, which have reasons of their own."""


def words(path: Path) -> Iterator[str]:
    """The constants of a module that are written as reasons are."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield from filter(WORD.fullmatch, [node.value])


def judged_by(kind: str, status: str, reason: str) -> set[str]:
    """The checks that find something in an entity that has been in this state for a day."""
    found = set()
    state = State(entity(Ref("c1", kind, "it", "shop"), status, reason), LONG_S, (), reason_age_s=LONG_S)
    for check in CATALOGUE:
        if check.applies_to and kind not in check.applies_to:
            continue
        match check:
            case StateCheck():
                is_found = check.find(state) is not None
            case AgeCheck():
                is_found = severity(check, check.age_s(state)) > 0
            case RestartCheck():
                is_found = check.is_so(state)
            case _:
                is_found = False
        found |= {check.id} if is_found else set()
    return found


def test_every_word_of_a_mapping_that_may_be_a_reason_is_listed() -> None:
    listed = {part for _, _, reason in PUBLISHED for part in re.split("[,:]", reason)}
    found = {word: path.name for path in MODULES if path.name not in WITHOUT_STATUS for word in words(path)}
    unknown = {word: name for word, name in found.items() if word not in listed | NOT_REASONS}
    assert unknown == {}, "a new reason belongs into tests/support/published_reasons.py, another word into NOT_REASONS"


def test_every_cause_by_which_a_database_cannot_be_read_is_listed() -> None:
    found = set()
    for path in (ROOT / "services/collector-db/src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Unreachable" and len(node.args) > 1:
                found |= {each.value for each in ast.walk(node.args[1]) if isinstance(each, ast.Constant)}
    listed = {reason for kind, _, reason in PUBLISHED if kind == "database"}
    assert found - listed == set()
    assert found >= {"refused", "wrong credentials"}


@pytest.mark.parametrize(("kind", "status", "reason"), PUBLISHED)
def test_a_published_reason_is_read_by_a_check_or_informational(kind: str, status: str, reason: str) -> None:
    assert judged_by(kind, status, reason) or all(is_informational(kind, each) for each in reason.split(","))


def is_informational(kind: str, reason: str) -> bool:
    return not reason or reason in INFORMATIONAL or f"{kind} {reason}" in INFORMATIONAL


@pytest.mark.parametrize("reason", INFORMATIONAL)
def test_a_reason_that_is_informational_is_published(reason: str) -> None:
    states = [each for each in PUBLISHED if {*each[2].split(","), f"{each[0]} {each[2]}"} & {reason}]
    assert states
    assert [each for each in states if not judged_by(*each)], "a check reads it: it is not informational"


@pytest.mark.parametrize(
    ("before", "after", "is_lost"),
    [
        (("running", ""), ("pending", "PodsNotReady"), True),
        (("running", "Updating"), ("pending", "PodsNotReady"), True),
        (("running", "Paused"), ("pending", "Paused"), True),
        (("running", ""), ("pending", "ReplicaFailure"), True),
        (("running", "LoadBalancerPending"), ("pending", "NoReadyEndpoints"), True),
        (("running", ""), ("pending", "Updating"), False),
        (("running", ""), ("pending", "SpecNotObserved"), False),
        (("running", ""), ("pending", "TerminatingOldPods"), False),
        (("running", ""), ("pending", "WaitingForPods"), False),
        (("running", "ScaledToZero"), ("pending", "PodsNotReady"), False),
        (("running", "NoEndpoints"), ("pending", "NoReadyEndpoints"), False),
        (("running", "SelectorMatchesNothing"), ("pending", "NoReadyEndpoints"), False),
        (("pending", "WaitingForPods"), ("pending", "PodsNotReady"), False),
        (("running", ""), ("running", "PodsNotReady"), False),
    ],
)
def test_service_is_lost_when_what_served_stops_without_a_plan(
    before: tuple[str, str], after: tuple[str, str], is_lost: bool
) -> None:
    ref = Ref("c1", "deployment", "it", "shop")
    assert lost_service(entity(ref, *before), entity(ref, *after)) is is_lost


def test_what_must_not_be_missed_is_judged() -> None:
    assert "KG-043" in judged_by("pod", "running", "NotReady")
    assert {"KG-044"} == judged_by("node", "failed", "NotReady")
    assert {"KG-045"} == judged_by("node", "failed", "NotReady,SchedulingDisabled")
    assert {"KG-205"} == judged_by("nats_server", "running", "JetStreamUnavailable")
