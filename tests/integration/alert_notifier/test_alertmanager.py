"""The receiver for Alertmanager against the real one, judged by what it then notifies."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from kgents_alert_notifier.delivery.outcome import Delivered, InDoubt, NotSent
from kgents_alert_notifier.message.alertmanager import WATCHDOG, watchdog
from kgents_alert_notifier.message.facts import Facts
from kgents_alert_notifier.receiver_config import AlertmanagerReceiver
from kgents_alert_notifier.receivers.alertmanager import RESENT_RESOLVED_S, Alertmanager
from kgents_shared.contract.incident import Incident
from support.alertmanager_server import PEER_TIMEOUT_S, AlertmanagerServer, Recorder
from support.http_stand_in import Fault, Got, Reply, StandIn
from support.incident_facts import facts, incident
from support.ports import free_port
from support.running import running
from support.waiting import MACHINE, eventually, stays


def now() -> datetime:
    return datetime.now(UTC)


def recent(number: int = 1, **changes: object) -> Incident:
    """One that began a minute ago: Alertmanager goes by its own clock."""
    at = now()
    return incident(number, **{"started_at": at - timedelta(minutes=1), "changed_at": at, **changes})


def receiver_of(*urls: str, resend_s: float = 60.0, hold_s: float = 14_400.0) -> Alertmanager:
    return Alertmanager(AlertmanagerReceiver(urls=list(urls), resend_s=resend_s, hold_s=hold_s), now)


def no_watchdog(_: float) -> None:
    return None


async def send(receiver: Alertmanager, what: Facts) -> object:
    return await receiver.send(what, "key", {}, 5.0)


OPENED = ("firing", incident().id)
ENDED = ("resolved", incident().id)


async def test_people_hear_of_the_opening_and_of_the_end_once(tmp_path: Path) -> None:
    async with Recorder() as people, AlertmanagerServer(tmp_path, people.url) as server:
        receiver = receiver_of(server.url)
        opened = recent()
        assert await send(receiver, facts(opened)) == Delivered()
        await eventually(lambda: people.notified == [OPENED])
        assert await send(receiver, facts(opened, known_revision=1, known_state="open")) == Delivered()
        over = recent(state="resolved", revision=2)
        assert await send(receiver, facts(over, known_revision=1, known_state="open")) == Delivered()
        await eventually(lambda: people.notified == [OPENED, ENDED])
        await stays(lambda: people.notified == [OPENED, ENDED], 1.0)
        await receiver.close()


async def test_a_severity_that_rises_ends_the_alert_of_before(tmp_path: Path) -> None:
    async with Recorder() as people, AlertmanagerServer(tmp_path, people.url) as server:
        receiver = receiver_of(server.url)
        assert await send(receiver, facts(recent(severity="warning"))) == Delivered()
        await eventually(lambda: people.notified == [OPENED])
        worse = recent(severity="critical", revision=2, severity_revision=2)
        assert await send(receiver, facts(worse, known_revision=1, known_state="open")) == Delivered()

        async def severities() -> list[str]:
            return [each["labels"]["severity"] for each in await server.alerts()]

        async def is_critical_alone() -> bool:
            return await severities() == ["critical"]

        await eventually(is_critical_alone)
        await receiver.close()


async def test_a_restart_is_noticed_and_the_open_ones_are_sent_again(tmp_path: Path) -> None:
    known = [facts(recent(number), known_revision=1, known_state="open") for number in (1, 2)]

    def held(_: float) -> Iterator[Facts]:
        yield from known

    async with Recorder() as people, AlertmanagerServer(tmp_path, people.url) as server:
        receiver = receiver_of(server.url, resend_s=2.0)

        async def has_both() -> bool:
            return len(await server.alerts()) == 2

        async with running(receiver.resend(held, no_watchdog)):
            await eventually(has_both)
            await server.stop()
            restarted = now()
            await server.start()

            async def has_both_again() -> bool:
                """It keeps none over a restart."""
                held = [datetime.fromisoformat(each["updatedAt"]) for each in await server.alerts()]
                return len(held) == 2 and min(held) > restarted

            await eventually(has_both_again)
            both = sorted([OPENED, ("firing", known[1].incident.id)])
            await eventually(lambda: sorted(set(people.notified)) == both)  # it holds an alert before it notifies of it
        await receiver.close()


async def test_a_sender_that_dies_does_not_end_its_alerts_before_they_are_held(tmp_path: Path) -> None:
    async with Recorder() as people, AlertmanagerServer(tmp_path, people.url) as server:
        brief = receiver_of(server.url, resend_s=0.3, hold_s=1.0)
        long = receiver_of(server.url)
        assert await send(brief, facts(recent(1))) == Delivered()
        assert await send(long, facts(recent(2))) == Delivered()
        await eventually(lambda: ("resolved", incident(1).id) in people.notified)
        assert ("resolved", incident(2).id) not in people.notified
        await brief.close()
        await long.close()


async def test_the_watchdog_fires_while_alerts_can_be_delivered_and_ends_by_itself(tmp_path: Path) -> None:
    since, can_deliver = now(), True

    def alive(lasts_s: float) -> dict[str, Any] | None:
        found = watchdog("test", since=since, now=now(), lasts_s=lasts_s, backlog_s=7.0)
        return found if can_deliver else None

    async with Recorder() as people, AlertmanagerServer(tmp_path, people.url) as server:
        config = AlertmanagerReceiver(urls=[server.url], resend_s=2.0, watchdog=True)
        receiver = Alertmanager(config, now)
        async with running(receiver.resend(lambda _: [], alive)):
            await eventually(lambda: people.notified == [("firing", WATCHDOG)])
            (held,) = await server.alerts()
            assert "waited for 7 s" in held["annotations"]["description"]
            can_deliver = False
            await eventually(lambda: people.notified == [("firing", WATCHDOG), ("resolved", WATCHDOG)])
        await receiver.close()


async def test_every_peer_has_every_alert_and_people_hear_once(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    async with (
        Recorder() as people,
        AlertmanagerServer(tmp_path / "a", people.url, cluster_port=ports[0]) as one,
        AlertmanagerServer(tmp_path / "b", people.url, cluster_port=ports[1], peer_port=ports[0]) as two,
    ):
        receiver = receiver_of(one.url, two.url)
        assert await send(receiver, facts(recent())) == Delivered()
        assert len(await one.alerts()) == len(await two.alerts()) == 1
        await eventually(lambda: people.notified == [OPENED])
        await stays(lambda: people.notified == [OPENED], ceil(MACHINE.limit_s(PEER_TIMEOUT_S)) + 1.0)
        two.kill()
        assert await send(receiver, facts(recent(2))) == Delivered()
        one.kill()
        assert isinstance(await send(receiver, facts(recent(3))), NotSent)
        await receiver.close()


async def test_a_peer_that_was_away_is_sent_every_end_that_it_missed() -> None:
    asked: list[float] = []

    def known(within_s: float) -> Iterator[Facts]:
        asked.append(within_s)
        yield facts(recent())

    def ok(_: Got) -> Reply:
        return Reply(200, b"{}")

    async with StandIn(ok) as peer:
        receiver = receiver_of(peer.url, resend_s=1.0, hold_s=100.0)
        peer.faults = [None, None, *[Fault("reply", Reply(500))] * 6]  # of its state and of alerts
        async with running(receiver.resend(known, no_watchdog)):
            await eventually(lambda: not peer.faults and len(peer.got) >= 12)
        await receiver.close()
    longest = max(asked[1:])
    assert asked[0] == 100.0 + RESENT_RESOLVED_S, "after a start all that may still fire there"
    assert longest >= RESENT_RESOLVED_S + 3.0, "while it was away"
    assert min(asked[asked.index(longest) :]) < longest, "and once it has taken that no more"


async def test_of_alerts_with_one_that_is_not_valid_the_others_are_stored(tmp_path: Path) -> None:
    async with Recorder() as people, AlertmanagerServer(tmp_path, people.url) as server:
        receiver = receiver_of(server.url, resend_s=60.0)
        odd = facts(
            recent(2, started_at=now() + timedelta(days=1)), known_revision=1, known_state="open"
        )  # after its end
        good = facts(recent(1), known_revision=1, known_state="open")
        async with running(receiver.resend(lambda _: [odd, good], no_watchdog)):
            await eventually(lambda: people.notified == [OPENED])
        await receiver.close()


@pytest.mark.parametrize("label", ["k8s.pod", "9lives", "", "ä"])
async def test_any_name_of_a_label_is_taken(tmp_path: Path, label: str) -> None:
    async with Recorder() as people, AlertmanagerServer(tmp_path, people.url) as server:
        receiver = receiver_of(server.url)
        assert await send(receiver, facts(recent(labels={label: "<!channel>\nx" * 1_000}))) == Delivered()
        await eventually(lambda: people.notified == [OPENED])
        await receiver.close()


async def test_a_peer_that_may_have_it_leaves_a_doubt() -> None:
    def ok(_: Got) -> Reply:
        return Reply(200, b"{}")

    async with StandIn(ok) as peer:
        receiver = receiver_of(peer.url, f"http://127.0.0.1:{free_port()}")
        peer.faults = [Fault("reset")]
        assert isinstance(await send(receiver, facts()), InDoubt)
        await asyncio.sleep(0)
        await receiver.close()
