"""Every other screen over a real NATS, and what is decided on them."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from kgents_cli.alerting.author import user
from kgents_cli.ui.source import live as over_nats
from kgents_shared.bus.client import Bus
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ACK, SILENCE, encode
from kgents_shared.contract.incident import Acknowledged, Incident, Root
from kgents_shared.contract.meta import Cost, Heartbeat
from kgents_shared.contract.pulse import DatabasePulse, Pool, ResourcePulse
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.unread import Unread
from kgents_shared.contract.vocabulary.figures import nats
from kgents_shared.contract.wire import Wire
from kgents_shared.runtime.clock import SystemClock
from support.audit import trail
from support.build import make_ref
from support.dashboard import dashboard, live
from support.state import edge, make_alert, make_event, make_health, make_topology, publish
from support.streams import stored
from support.waiting import eventually

NOW = datetime.now(UTC)


async def put(bus: Bus, subject: str, message: Wire) -> None:
    session = await bus.session(timeout_s=10)
    answer = await session.request(subject, encode(message))
    assert b"error" not in answer.data, answer.data


def incident(**fields: object) -> Incident:
    found = {
        "text": "open", "title": "orders refuses connections", "cluster": "test", "id": "5c0ffee500000000",
        "state": "open", "severity": "critical", "started_at": NOW, "opened_at": NOW, "changed_at": NOW,
        "affected_count": 3, "root": Root(ref=make_ref("cart"), check="KG-001", why="it began"), **fields,
    }  # fmt: skip
    return Incident(**found)  # type: ignore[arg-type]


async def test_the_tree_shows_the_worst_of_what_is_beneath(bus: Bus) -> None:
    web = make_ref("web", kind="deployment")
    await publish(
        bus,
        make_topology("web", ref=web),
        make_topology("web-1", connections=[edge("owns", web, "in")]),
        make_topology("web-2", connections=[edge("owns", web, "in")]),
        make_health("web", ref=web),
        make_health("web-1"),
        make_health("web-2", level="critical"),
    )
    async with dashboard(live(bus), size=(140, 30)) as shown:
        await shown.until("web-1")
        await shown.press("2")
        await shown.until("+ shop")
        await shown.until_row("- test", "✖ critical")
        await shown.until_row("- test", "3: 1 critical")
        assert "web-1" not in shown.text
        await shown.press("j", "enter")
        await shown.until("+ deployment web")
        await shown.press("j", "enter")
        await shown.until("pod web-2")
        await shown.until_row("pod web-1", "● healthy")
        await publish(bus, make_health("web-2"))
        await eventually(lambda: "● healthy" in shown.row("- test"))
        await shown.press("d")
        await shown.until("in cluster test")


async def test_streams_stand_with_what_they_hold_against_their_limits(bus: Bus) -> None:
    stream = make_ref("ORDERS", kind="nats_stream", namespace="")
    other = make_ref("FREE", kind="nats_stream", namespace="")
    await publish(bus, make_topology("ORDERS", ref=stream), make_topology("FREE", ref=other))
    values: dict[str, float | None] = {nats.MESSAGES: 1200.0, nats.BYTES_FILL_RATIO: 0.9, nats.MESSAGES_PER_SEC: None}
    pulse = ResourcePulse(ref=stream, source="nats", timestamp=NOW, interval_s=5, custom=values)
    await put(bus, stream.subject("pulse", source="nats"), pulse)
    async with dashboard(live(bus), size=(140, 30)) as shown:
        await shown.press("3")
        await shown.until("1.2 k messages")
        await shown.until_row("ORDERS", "█████████░ 90 %")
        assert "no limit known" in shown.row("FREE")
        assert " 0" not in shown.row("FREE")


async def test_databases_have_phase_and_pool_and_what_is_not_known_is_no_zero(bus: Bus) -> None:
    for name in ("orders", "cache"):
        ref = make_ref(name, kind="database", namespace="")
        await publish(bus, make_topology(name, ref=ref))
    orders = make_ref("orders", kind="database", namespace="")
    pulse = DatabasePulse(ref=orders, source="db", backend="postgres", timestamp=NOW, interval_s=5, phase="saturated",
                          pool=Pool(active=20, max=20, utilization=1.0))  # fmt: skip
    await put(bus, orders.subject("pulse", source="db"), pulse)
    async with dashboard(live(bus), size=(140, 30)) as shown:
        await shown.press("4")
        await eventually(lambda: shown.app.filling._asked_for == "databases")
        assert len(shown.app.table.window.listing) == 2, "until they are rows, nothing says that there are none"
        await shown.until("saturated")
        await shown.until_row("orders", "██████████ 100 %")
        assert "not known" in shown.row("cache")


@pytest.mark.parametrize("hours", [3, -3])
async def test_ages_are_those_of_the_server_where_the_clock_of_this_machine_is_wrong(
    hours: int, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(SystemClock):
        def now(self) -> datetime:
            return super().now() + timedelta(hours=hours)

    monkeypatch.setattr(over_nats, "SystemClock", Wrong)
    now, orders = datetime.now(UTC), make_ref("orders", kind="database", namespace="")
    await publish(bus, make_topology("orders", ref=orders, created_at=now - timedelta(hours=10.5)))
    pulse = DatabasePulse(ref=orders, source="db", backend="postgres", timestamp=now, interval_s=60, phase="healthy",
                          pool=Pool(active=5, max=20, utilization=0.25))  # fmt: skip
    await put(bus, orders.subject("pulse", source="db"), pulse)
    async with dashboard(live(bus), size=(140, 50)) as shown:
        await eventually(lambda: shown.row(" orders ").rstrip().endswith("10h"))
        await shown.press("4")
        await shown.until("5/20")
        assert "no pulse" not in shown.text


async def test_an_incident_is_acknowledged_and_shown_so_once_the_stream_says_so(bus: Bus) -> None:
    open_ = incident()
    await put(bus, open_.subject, open_)
    async with dashboard(live(bus), size=(140, 30)) as shown:
        await shown.press("5")
        await shown.until("orders refuses connections: 3 affected")
        await shown.press("a")
        await shown.type("failing over")
        await shown.press("enter")
        await shown.until("sending")
        [found] = await eventually(lambda: stored(bus, NAME_BY_SIGNAL["ack"]))
        message = ACK.decode(found.payload, subject=found.subject)
        assert (message.note, message.revision) == ("failing over", 1)
        recorded = ("acknowledge", "cli", user(), f"incident {open_.id}", "done")
        await eventually(lambda: has(bus, recorded))
        taken = incident(state="acknowledged", acknowledged=Acknowledged(by=message.by, at=NOW))
        await put(bus, taken.subject, taken)
        await shown.until("acknowledged by")


async def test_a_silence_needs_a_reason_and_a_yes(bus: Bus) -> None:
    await publish(bus, make_topology("cart"), make_health("cart", level="critical"), make_alert("cart"))
    async with dashboard(live(bus), size=(150, 30)) as shown:
        await shown.press("5")
        await shown.until("firing KG-001")
        await shown.press("s", "enter")
        await shown.until("expected how long and why")
        await shown.press("s")
        await shown.type("upgrade")
        await shown.press("enter")
        await shown.until("1 alert matches now")
        await shown.press("enter")
        await shown.until("not silenced")
        assert await stored(bus, NAME_BY_SIGNAL["silence"]) == []
        await shown.press("s")
        await shown.type("upgrade")
        await shown.press("enter", "y", "enter")
        await shown.until("kgents alerts unsilence")
        [found] = await stored(bus, NAME_BY_SIGNAL["silence"])
        silence = SILENCE.decode(found.payload, subject=found.subject)
        assert silence.reason == "upgrade"
        assert silence.ends_at - silence.starts_at == timedelta(hours=1)
        assert {(each.field, each.value) for each in silence.matchers} == {
            ("kind", "pod"), ("namespace", "shop"), ("name", "cart"), ("check", "KG-001"),
        }  # fmt: skip
        await shown.until("ends in")
        await eventually(lambda: has(bus, ("silence", "cli", user(), f"silence {silence.id}", "done")))


async def has(bus: Bus, *recorded: tuple[str, ...]) -> bool:
    """Whether just these writes are in the audit trail."""
    return await trail(bus) == list(recorded)


async def test_events_come_newest_first(bus: Bus) -> None:
    await publish(bus, make_topology("cart"))
    for number in range(3):
        at = NOW - timedelta(minutes=3 - number)
        await publish(bus, make_event("cart", number=number, first_at=at, last_at=at))
    async with dashboard(live(bus), size=(120, 30)) as shown:
        await shown.press("6")
        await shown.until("BackOff 2")
        rows = [line.split("BackOff ")[-1].split()[0] for line in shown.lines if "pod shop/cart: BackOff" in line]
        assert rows == ["2", "1", "0"]
        await publish(bus, make_event("cart", number=9, first_at=NOW, last_at=NOW))
        await shown.until("BackOff 9")


async def test_forty_clusters_are_told_apart_on_every_screen_of_eighty_columns(bus: Bus) -> None:
    names = [f"gke_shop_europe-west1_site-{number:02}" for number in range(40)]
    carts = [make_ref("cart", cluster=each) for each in names]
    orders = [make_ref("orders", kind="database", namespace="", cluster=each) for each in names]
    for number, (cart, database) in enumerate(zip(carts, orders, strict=True)):
        await publish(bus, make_topology(ref=cart), make_health(ref=cart, level="critical"), make_alert(ref=cart),
                      make_event(ref=cart, number=number), make_topology(ref=database))  # fmt: skip
        beat = Heartbeat("it works", "collector-k8s", "one", "1", NOW, "in_sync", source="k8s")
        await put(bus, subjects.build("meta", cluster=cart.cluster, service="collector-k8s", instance="one"), beat)
    async with dashboard(live(bus), size=(80, 24)) as shown:
        await shown.until("✖ 40 ? 40 ● 0 ")

        def named(row: str) -> list[str]:
            """The clusters of the rows, once the screen is full of them."""
            listed = [each[: len("■ …site-00 ")].split()[1] for each in shown.lines if f" {row}" in each]
            return listed if len(listed) == shown.app.table.window.height else []

        for key, row in ("1", "cart"), ("4", "orders"), ("5", "firing"), ("6", "BackOff"):
            await shown.press(key)
            found = await eventually(partial(named, row))
            assert len(set(found)) == len(found), key
            assert all(each.startswith("…site-") for each in found), key
        await shown.press("7")
        await shown.until("● healthy  …site-07")


async def test_a_collector_that_cannot_read_is_named_with_what_it_cannot_read(bus: Bus) -> None:
    beat = Heartbeat(
        "collector-k8s is degraded", "collector-k8s", "one", "1", NOW, "degraded", source="k8s", reason="forbidden",
        unread=[Unread(kind="pod", namespace="shop", reason="403 Forbidden")], lag_s=1.5, cost=Cost(2.5, 50_000_000),
    )  # fmt: skip
    await put(bus, subjects.build("meta", cluster="test", service="collector-k8s", instance="one"), beat)
    async with dashboard(live(bus), size=(150, 30)) as shown:
        await shown.press("7")
        await shown.until("cannot read pod in shop: 403 Forbidden")
        assert "1.5 s" in shown.row("forbidden")
        assert "2.5 % 50 MB" in shown.row("forbidden")
        assert "topology-builder: no instance reports" in shown.text
