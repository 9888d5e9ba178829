from collections.abc import Iterator

from kgents_cli.commands.doctor import Verdict, services
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


def test_a_service_that_works_gives_an_account_of_itself() -> None:
    message = beat("in_sync", lag_s=0.25, rows=7, dead_letters=2, cost=Cost(cpu_percent=1.5, memory_bytes=64 << 20))
    (verdict,) = judged({"kgents.meta.prod.topology-builder.n1": message}, ["topology-builder"])
    assert verdict.is_ok
    assert verdict.text == (
        "prod: topology-builder n1 is in_sync (version 1.2, lag 0.2 s, 7 rows, 2 dead letters, 1.5 % of a core, 64 MiB)"
    )


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
