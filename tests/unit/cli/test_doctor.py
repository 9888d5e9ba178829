from collections.abc import Iterator

import pytest

from kgents_cli.commands.doctor import Verdict, services, stream_verdicts
from kgents_shared.bus import provision
from kgents_shared.contract.meta import Cost, Heartbeat, Lease
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


def judged(meta: dict[str, object], installed: list[str], *, age_s: float = 3.0) -> Iterator[Verdict]:
    return services(meta, dict.fromkeys(meta, age_s), installed)


def test_each_stream_that_differs_has_a_line_and_the_last_one_the_way_out() -> None:
    changes = tuple(provision.Change(f"field_{number}", 1, 2) for number in range(50))
    steps: list[provision.Step] = [
        provision.Unchanged("A"),
        provision.Create("B", {}),
        provision.Update("C", changes, {}),
        provision.Refuse("D", "it holds subjects of others"),
    ]
    verdicts = list(stream_verdicts(steps))
    assert [each.next_step for each in verdicts] == ["", "", "kgents provision"]
    assert verdicts[0].text == "stream B is missing"
    assert verdicts[1].text.startswith("stream C differs: field_0: 1 → 2, field_1")
    assert verdicts[2].text == "refuse D: it holds subjects of others"
    assert max(len(each.text) for each in verdicts) == 160
    assert not any(each.is_ok for each in verdicts)


def test_streams_that_are_all_there_or_all_missing_are_one_line() -> None:
    (there,) = stream_verdicts([provision.Unchanged("A"), provision.Unchanged("B")])
    assert (there.is_ok, there.text) == (True, "JetStream holds all 2 streams in their expected form")
    (missing,) = stream_verdicts([provision.Create("A", {}), provision.Create("B", {})])
    assert (missing.is_ok, missing.next_step) == (False, "kgents provision")
    assert missing.text == "none of the 2 streams of kgents exists yet"


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


def test_a_standby_is_ok() -> None:
    (verdict,) = judged({"kgents.meta.prod.topology-builder.n2": beat("standby")}, [])
    assert verdict.is_ok


def test_a_service_that_works_but_cannot_see_everything_is_not_simply_well() -> None:
    message = beat("in_sync", reason="orders: the login is refused")
    (verdict,) = judged({"kgents.meta.prod.collector-db.n1": message}, ["topology-builder"])
    assert (verdict.is_ok, verdict.next_step) == (None, "")


def test_a_lease_is_no_sign_of_life() -> None:
    lease = Lease(text="", holder="n1", acquired_at=NOW)
    (verdict,) = judged({"kgents.meta.prod.topology-builder.lease": lease}, ["topology-builder"])
    assert (verdict.is_ok, verdict.text) == (False, "topology-builder is installed, but does not report")


def test_a_heartbeat_that_outlived_its_time_is_no_sign_of_life() -> None:
    subject = "kgents.meta.prod.topology-builder.n1"
    (verdict,) = judged({subject: beat("in_sync")}, ["topology-builder"], age_s=65.0)
    assert verdict.is_ok is False
    assert "last report 65 s old" in verdict.text


def test_a_heartbeat_that_the_server_is_about_to_drop_is_believed() -> None:
    subject = "kgents.meta.prod.topology-builder.n1"
    (verdict,) = judged({subject: beat("in_sync")}, [], age_s=16.0)
    assert verdict.is_ok
