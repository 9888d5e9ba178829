from collections.abc import Iterator, Mapping

import pytest

from kgents_shared.contract.attestation import Scopes
from kgents_shared.contract.meta import Cost, Heartbeat, Lease
from kgents_shared.contract.unread import Unread
from kgents_shared.runtime.pipeline import BEGINNING_S, HANDOVER_S, Reports, Verdict
from support.build import NOW


def beat(state: str, **fields: object) -> Heartbeat:
    given: dict[str, object] = {
        "text": f"topology-builder n1 is {state}",
        "service": "topology-builder",
        "instance": "n1",
        "version": "1.2",
        "started_at": NOW,
        "state": state,
    }
    return Heartbeat(**{**given, **fields})  # type: ignore[arg-type]


def judged(meta: Mapping[str, object], installed: list[str], *, age_s: float = 3.0) -> Iterator[Verdict]:
    return Reports(meta, dict.fromkeys(meta, age_s), is_whole=False).verdicts(installed)


def test_a_service_that_works_gives_an_account_of_itself() -> None:
    message = beat("in_sync", lag_s=0.25, rows=7, dead_letters=2, cost=Cost(cpu_percent=1.5, memory_bytes=64 << 20))
    (verdict,) = judged({"kgents.meta.prod.topology-builder.n1": message}, ["topology-builder"])
    assert verdict.is_ok
    assert verdict.text == (
        "prod: topology-builder n1 is in_sync (version 1.2, lag 0.2 s, 7 rows, 2 dead letters, 1.5 % of a core, 64 MiB)"
    )


@pytest.mark.parametrize(
    ("bound", "said"),
    [(100 << 20, "40 messages waiting on disk, 25 % of the buffer"), (0, "40 messages waiting on disk")],
)
def test_a_service_that_waits_for_nats_says_how_full_its_buffer_is(bound: int, said: str) -> None:
    message = beat("in_sync", spilled=40, spilled_bytes=25 << 20, spilled_max_bytes=bound)
    (verdict,) = judged({"kgents.meta.prod.topology-builder.n1": message}, ["topology-builder"])
    assert verdict.text == f"prod: topology-builder n1 is in_sync (version 1.2, {said})"


@pytest.mark.parametrize(("stall_s", "said"), [(0.05, ""), (0.071, ", computed for 71 ms without a pause")])
def test_a_service_that_held_up_its_lease_says_for_how_long(stall_s: float, said: str) -> None:
    message = beat("in_sync", cost=Cost(1.5, 64 << 20, longest_stall_s=stall_s))
    (verdict,) = judged({"kgents.meta.prod.topology-builder.n1": message}, ["topology-builder"])
    assert verdict.is_ok
    assert verdict.text.endswith(f"64 MiB{said})")


def test_a_service_in_trouble_is_wrong_and_leads_on() -> None:
    (verdict,) = judged({"kgents.meta.prod.topology-builder.n1": beat("degraded")}, ["topology-builder"])
    assert (verdict.is_ok, verdict.next_step) == (False, "kgents run topology-builder")


@pytest.mark.parametrize(
    ("service", "source", "step"),
    [
        ("topology-builder", "", "kgents permissions topology-builder"),
        ("collector-nats", "nats", "kgents permissions collector-nats --cluster prod"),
        ("collector-host-web-7", "host-web-7", "kgents permissions collector-host --cluster prod --place web-7"),
    ],
)
def test_a_service_that_is_refused_something_leads_to_what_it_needs(service: str, source: str, step: str) -> None:
    reason = 'permissions violation for subscription to "orders.>"'
    message = beat("degraded", service=service, source=source, reason=reason)
    verdict, *_ = judged({f"kgents.meta.prod.{service}.n1": message}, [])
    assert (verdict.is_ok, verdict.next_step) == (False, step)


def test_a_standby_is_ok() -> None:
    (verdict,) = judged({"kgents.meta.prod.topology-builder.n2": beat("standby")}, [])
    assert verdict.is_ok


def test_a_service_that_works_but_cannot_see_everything_is_not_simply_well() -> None:
    message = beat("in_sync", reason="orders: the login is refused")
    (verdict,) = judged({"kgents.meta.prod.collector-db.n1": message}, ["collector-db"])
    assert (verdict.is_ok, verdict.next_step) == (None, "")


def test_a_lease_is_no_sign_of_life() -> None:
    lease = Lease(text="", holder="n1", acquired_at=NOW)
    (verdict,) = judged({"kgents.meta.prod.topology-builder.lease": lease}, ["topology-builder"])
    assert (verdict.is_ok, verdict.text) == (False, "topology-builder is installed, but does not report")


def test_a_heartbeat_that_outlived_its_time_is_no_sign_of_life() -> None:
    subject = "kgents.meta.prod.topology-builder.n1"
    (verdict,) = judged({subject: beat("in_sync")}, ["topology-builder"], age_s=65.0)
    assert verdict.is_ok is False
    assert "expected a report of topology-builder n1 at most 20 s old, found the last one 65 s old" in verdict.text


def test_a_heartbeat_that_the_server_is_about_to_drop_is_believed() -> None:
    subject = "kgents.meta.prod.topology-builder.n1"
    (verdict,) = judged({subject: beat("in_sync")}, [], age_s=16.0)
    assert verdict.is_ok


def test_a_stopped_instance_is_wrong_unless_another_one_goes_on() -> None:
    stopped = {"kgents.meta.prod.topology-builder.n1": beat("stopped")}
    (verdict,) = judged(stopped, [], age_s=HANDOVER_S + 1)
    assert verdict.is_ok is False
    verdicts = judged({**stopped, "kgents.meta.prod.topology-builder.n2": beat("in_sync")}, [])
    assert [each.is_ok for each in verdicts] == [None, True]
    elsewhere = judged({**stopped, "kgents.meta.dev.topology-builder.n2": beat("in_sync")}, [], age_s=HANDOVER_S + 1)
    assert [each.is_ok for each in elsewhere] == [True, False]


def test_a_service_that_stopped_reporting_is_wrong_until_another_one_reports_or_it_is_long_ago() -> None:
    subject = "kgents.meta.prod.collector-k8s.n1"
    leases = {"kgents.meta.prod.collector-k8s.lease": 1.0, "kgents.meta.prod.collector-k8s.dead-letter-entity-1": 1.0}
    (verdict,) = Reports({}, {}, is_whole=False, expired_s={subject: 5.0, **leases}).verdicts()
    assert (verdict.is_ok, verdict.next_step) == (False, "kgents run collector-k8s")
    assert verdict.text == "prod: collector-k8s n1 has not reported for 20 s"
    assert list(Reports({}, {}, is_whole=False, expired_s={subject: 61.0}).verdicts()) == []
    other = {"kgents.meta.prod.collector-k8s.n2": beat("in_sync", service="collector-k8s", instance="n2")}
    assert [
        each.is_ok
        for each in Reports(other, {next(iter(other)): 1.0}, is_whole=False, expired_s={subject: 5.0}).verdicts()
    ] == [True]


def test_a_source_that_is_stale_as_a_whole_and_has_no_collector_is_wrong() -> None:
    unattested: Scopes = {
        ("prod", "k8s"): [Unread(reason="no heartbeat")],
        ("prod", "docker"): [Unread(kind="container")],
    }
    (verdict,) = Reports({}, {}, is_whole=False, unattested=unattested).verdicts()
    assert verdict == Verdict(
        False, "prod: no collector reports on the source k8s; its entities are stale", "kgents run collector-k8s"
    )
    alive = {"kgents.meta.prod.collector-k8s.n2": beat("degraded", service="collector-k8s", source="k8s")}
    reports = Reports(alive, {next(iter(alive)): 1.0}, unattested=unattested)
    assert not any("no collector" in each.text for each in reports.verdicts())


def test_a_cluster_that_is_observed_and_that_no_service_writes_is_wrong() -> None:
    collector = {"kgents.meta.prod.collector-k8s.n1": beat("in_sync", service="collector-k8s", source="k8s")}
    verdicts = [each for each in judged(collector, []) if each.is_ok is False]
    assert [each.text.partition(":")[0] for each in verdicts] == ["topology-builder", "health-scorer"]
    builder = {"kgents.meta.prod.topology-builder.n1": beat("in_sync")}
    assert [each.text for each in judged({**collector, **builder}, []) if each.is_ok is False] == [
        "health-scorer: no instance reports on prod: nothing keeps the health there up to date"
    ]
    (entities, _) = Reports({}, {}, is_whole=False, clusters=["prod"]).verdicts()
    assert entities.text == "topology-builder: no instance reports on prod: nothing keeps the topology there up to date"
    late = Reports(collector | builder, {**dict.fromkeys(collector, 1.0), **dict.fromkeys(builder, 65.0)})
    assert sum(each.is_ok is False for each in late.verdicts()) == 3  # it is late, and neither service writes


def test_a_filter_by_cluster_leaves_nothing_of_others() -> None:
    meta = {f"kgents.meta.{each}.topology-builder.n1": beat("degraded") for each in ("prod", "dev")}
    whole = Reports(
        meta,
        dict.fromkeys(meta, 1.0),
        {"kgents.meta.prod.x.y": "no JSON", "kgents.meta.dev.x.y": "no JSON", "kgents.meta.a..b": "no subject"},
        {"kgents.meta.prod.gateway.n1": 1.0, "kgents.meta.dev.gateway.n1": 1.0},
        {("prod", "k8s"): [Unread()], ("dev", "k8s"): [Unread()]},
        ["prod", "dev"],
    )
    found = list(whole.within(lambda cluster: cluster == "dev").verdicts())
    assert len(found) == 5
    assert all("prod" not in each.text for each in found)


def test_a_pipeline_without_a_collector_that_is_alive_is_wrong() -> None:
    (nothing,) = Reports({}, {}).verdicts()
    assert (nothing.is_ok, nothing.text) == (False, "no collector reports, so nothing is observed")
    collector = {"kgents.meta.prod.collector-k8s.n1": beat("stopped", service="collector-k8s", source="k8s")}
    texts = [each.text for each in Reports(collector, dict.fromkeys(collector, HANDOVER_S + 1)).verdicts()]
    assert nothing.text in texts


@pytest.mark.parametrize(("age_s", "is_wrong"), [(1.0, False), (HANDOVER_S + 0.1, True)])
def test_a_collector_that_is_started_again_is_not_wrong_at_once(age_s: float, is_wrong: bool) -> None:
    stopped = {"kgents.meta.prod.collector-k8s.n1": beat("stopped", service="collector-k8s", source="k8s")}
    found = list(Reports(stopped, dict.fromkeys(stopped, age_s)).verdicts())
    assert any("n1 is stopped" in each.text for each in found)
    collecting = [each for each in found if "n1 is stopped" in each.text or "no collector" in each.text]
    assert any(each.is_ok is False for each in collecting) is is_wrong


@pytest.mark.parametrize("state", ["starting", "syncing"])
@pytest.mark.parametrize(("since_s", "is_ok"), [(BEGINNING_S - 1, None), (BEGINNING_S + 1, False)])
def test_a_service_that_begins_is_wrong_only_if_it_takes_too_long(
    state: str, since_s: float, is_ok: bool | None
) -> None:
    beginning = {"kgents.meta.prod.collector-k8s.n1": beat(state, service="collector-k8s")}
    now_ns = round((NOW.timestamp() + since_s) * 1e9)
    reports = Reports(beginning, dict.fromkeys(beginning, 1.0), now_ns=now_ns)
    (verdict,) = [each for each in reports.verdicts() if f"is {state}" in each.text]
    assert verdict.is_ok is is_ok


LEASE = "kgents.meta.prod.collector-k8s.lease"


@pytest.mark.parametrize(
    ("leased_s", "expired_s", "is_stale", "is_ok"),
    [(8.0, None, False, None), (None, 2.0, False, None), (None, 6.0, False, False), (1.0, None, True, False)],
)
def test_what_waits_for_the_lease_of_a_dead_instance_is_wrong_when_that_does_not_end_it(
    leased_s: float | None, expired_s: float | None, is_stale: bool, is_ok: bool | None
) -> None:
    standby = "kgents.meta.prod.collector-k8s.n1"
    meta: dict[str, object] = {standby: beat("standby", service="collector-k8s")}
    ages_s = {standby: 1.0}
    if leased_s is not None:
        meta[LEASE], ages_s[LEASE] = Lease(text="", holder="n0", acquired_at=NOW), leased_s
    expired = {LEASE: expired_s} if expired_s is not None else {}
    stale: Scopes = {("prod", "k8s"): [Unread()]} if is_stale else {}
    found = list(Reports(meta, ages_s, expired_s=expired, unattested=stale).verdicts())
    (verdict,) = [each for each in found if "stands by for" in each.text]
    assert verdict.is_ok is is_ok
    assert all("so nothing is observed" not in each.text for each in found)


def test_a_pipeline_in_which_nothing_is_observed_is_wrong_also_where_services_are_expected() -> None:
    standby = {"kgents.meta.prod.collector-k8s.n1": beat("standby", service="collector-k8s")}
    reports = Reports(standby, dict.fromkeys(standby, 1.0))
    found = [each.text for each in reports.verdicts(["collector-k8s"]) if each.is_ok is False]
    assert found == [
        "prod: collector-k8s stands by for an instance that does not report",
    ]
    assert found == [each.text for each in reports.verdicts() if each.is_ok is False]


def test_the_next_step_of_a_collector_of_one_machine_is_a_command_that_there_is() -> None:
    standby = {"kgents.meta.prod.collector-host-web-1.n1": beat("standby", service="collector-host-web-1")}
    found = list(Reports(standby, dict.fromkeys(standby, 1.0)).verdicts(["collector-host"]))
    assert {each.next_step for each in found if "collector-host" in each.text} <= {"", "kgents run collector-host"}
    assert "kgents run collector-host" in {each.next_step for each in found}
    assert not [each for each in found if "is installed, but does not report" in each.text]


def test_a_collector_that_stands_by_for_one_that_works_is_ok() -> None:
    both = {
        "kgents.meta.prod.collector-k8s.n1": beat("standby", service="collector-k8s"),
        "kgents.meta.prod.collector-k8s.n2": beat("in_sync", service="collector-k8s", instance="n2", source="k8s"),
    }
    assert not any("stands by" in each.text for each in judged(both, []))
    elsewhere = {"kgents.meta.dev.collector-k8s.n1": beat("standby", service="collector-k8s")}
    assert any("dev: collector-k8s stands by" in each.text for each in judged({**both, **elsewhere}, []))


def test_an_instance_that_fell_silent_is_listed_for_a_minute_unless_another_one_reports() -> None:
    def listed(meta: Mapping[str, object], expired_s: float) -> list[tuple[str, bool, float]]:
        expired = {"kgents.meta.prod.topology-builder.n=2E9": expired_s, "kgents.meta.prod.topology-builder.lease": 1.0}
        reports = Reports(meta, dict.fromkeys(meta, 1.0), expired_s=expired)
        return [(each.instance, each.is_alive, each.age_s) for each in reports.instances()]

    assert listed({}, 5.0) == [("n.9", False, 20.0)]
    assert listed({}, 61.0) == []
    assert listed({"kgents.meta.prod.topology-builder.n1": beat("in_sync")}, 5.0) == [("n1", True, 1.0)]
