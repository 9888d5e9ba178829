"""A Disruption does nothing before a dry run, takes no last replica unless told, and ends in time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from kgents_operator.config import Config
from kgents_operator.decision import Decision, decide, is_cut
from kgents_operator.resources.disruption import Disruption, Spec, Status
from kgents_operator.rights import roles
from support.operated_disruption import disruption

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Json = dict[str, Any]


def spec_of(**spec: Any) -> Spec:
    return msgspec.convert(disruption(**spec), Disruption).spec


def pod(name: str, *, is_ready: bool = True, uid: str = "") -> Json:
    condition = {"type": "Ready", "status": "True" if is_ready else "False"}
    return {"metadata": {"name": name, "uid": uid or f"u-{name}"}, "status": {"conditions": [condition]}}


PODS = [pod("cache-replicas-1"), pod("cache-replicas-0")]


def decided(
    before: Status | None = None, *, pods: list[Json] = PODS, refusal: str = "", after_s: float = 0, **spec: Any
) -> Decision:
    return decide(spec_of(**spec), before or Status(), 1, pods, refusal, NOW + timedelta(seconds=after_s))


def said(decision: Decision) -> tuple[str, str, str]:
    return decision.status.phase, decision.reason, decision.act


def test_a_dry_run_names_what_is_taken_then_and_nothing_else_is() -> None:
    planned = decided()
    assert said(planned) == ("Planned", "DryRun", "")
    assert [each.name for each in planned.status.pods] == ["cache-replicas-0"]
    assert "it would take cache-replicas-0, of 2 that are ready" in planned.message
    begun = decided(planned.status, dryRun=False)
    assert said(begun) == ("Running", "Begun", "begin")
    assert said(decided(begun.status, dryRun=False)) == ("Ended", "Deleted", "end")
    ended = decided(begun.status, dryRun=False).status
    assert said(decided(ended, dryRun=False)) == ("Ended", "Ended", ""), "it is done once"
    late = decided(begun.status, after_s=61, dryRun=False)
    assert said(late) == ("Ended", "TooLate", "end"), "what was one of two may be the last one now"


def test_without_a_dry_run_or_after_pods_have_changed_nothing_begins() -> None:
    assert said(decided(dryRun=False)) == ("Refused", "DryRunFirst", "")
    changed = [pod("cache-replicas-0", uid="another"), pod("cache-replicas-1")]
    assert said(decided(decided().status, pods=changed, dryRun=False)) == ("Refused", "DryRunFirst", "")


@pytest.mark.parametrize(
    ("spec", "pods", "refusal", "reason"),
    [
        ({}, PODS[:1], "", "LastReplica"),
        ({}, [PODS[0], pod("cache-replicas-0", is_ready=False)], "", "LastReplica"),
        ({"action": "CutNetwork"}, PODS, "", "LastReplica"),
        ({}, [], "", "NoPods"),
        ({"action": "PauseContainer", "allowLastReplica": True}, PODS, "", "NotPossible"),
        ({}, PODS, "it is paused", "NotNow"),
    ],
)
def test_what_must_not_or_cannot_be_taken_is_refused(spec: Json, pods: list[Json], refusal: str, reason: str) -> None:
    for is_dry in (True, False):
        found = decided(decided().status, pods=pods, refusal=refusal, dryRun=is_dry, **spec)
        assert said(found) == ("Refused", reason, "")
        assert found.status.pods == []


def test_a_cut_ends_in_time_or_when_it_is_aborted() -> None:
    asked: Json = {"action": "CutNetwork", "allowLastReplica": True, "durationSeconds": 30}
    running = decided(decided(**asked).status, dryRun=False, **asked)
    assert said(running) == ("Running", "Begun", "begin")
    spec, status = spec_of(dryRun=False, **asked), running.status
    assert is_cut(spec, status, NOW + timedelta(seconds=29))
    assert not is_cut(spec, status, NOW + timedelta(seconds=30))
    assert said(decided(status, after_s=29, dryRun=False, **asked)) == ("Running", "Cut", "")
    assert said(decided(status, after_s=30, dryRun=False, **asked)) == ("Ended", "TimeOver", "end")
    aborted = decided(status, after_s=1, dryRun=False, abort=True, **asked)
    assert said(aborted) == ("Aborted", "Aborted", "end")
    assert not is_cut(spec_of(abort=True, **asked), status, NOW), "before its status says so"
    assert said(decided(abort=True, **asked)) == ("Aborted", "Aborted", ""), "nothing was begun"


def test_the_rights_are_there_only_when_it_is_switched_on() -> None:
    def rights(config: Config) -> set[tuple[str, str]]:
        return {(name, verb) for role in roles(config) for rule in role["rules"] for name in rule["resources"]
                for verb in rule["verbs"]}  # fmt: skip

    assert rights(Config(disruptions=True)) - rights(Config()) == {
        ("disruptions", "list"), ("disruptions", "watch"), ("disruptions/status", "patch"),
        ("pods", "list"), ("pods", "delete"), ("jobs", "create"),
    }  # fmt: skip
