"""The same screens over a gateway that asks for a token."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from kgents_cli.ui.source import gateway as over_http
from kgents_cli.ui.source.gateway import GatewaySource
from kgents_cli.ui.source.sse import Events
from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import ACK, SILENCE, encode
from kgents_shared.contract.pulse import DatabasePulse, Pool, ResourcePulse
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.tokens import Token, digest_of
from kgents_shared.contract.vocabulary.figures import coherency, nats
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.view.selection import select
from support.audit import trail
from support.build import make_ref
from support.dashboard import dashboard
from support.decisions import stored as store
from support.gateway import caught_up, serving
from support.incidents import make_incident
from support.state import make_alert, make_event, make_health, make_topology, publish, removed
from support.streams import stored
from support.waiting import eventually


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    ada, reader = Token("ada", digest_of("ada"), may=("read", "alert:write")), Token("reader", digest_of("reader"))
    file.write_text(f"{ada}\n{reader}\n")
    return file


def use_wrong_clock(monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    """Of the machine of the dashboard alone."""

    class Wrong(SystemClock):
        def now(self) -> datetime:
            return super().now() + timedelta(hours=hours)

    monkeypatch.setattr(over_http, "SystemClock", Wrong)


async def test_a_gateway_shows_what_nats_shows_and_follows_it(
    bus: Bus, tokens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_wrong_clock(monkeypatch, hours=3)
    await publish(bus, make_topology("cart"), make_health("cart", level="critical"), make_alert("cart"),
                  make_topology("web"), make_event("cart"))  # fmt: skip
    async with serving(bus, tokens_file=tokens) as gateway:
        await caught_up(bus, gateway)
        async with dashboard(GatewaySource(gateway.server.address, "ada", select()), size=(150, 50)) as shown:
            await shown.until("LIVE")
            assert abs(shown.app.source.now() - datetime.now(UTC)) < timedelta(hours=1), "the gateway's time counts"
            assert "✖ critical 0.20" in shown.row(" cart ")
            await publish(bus, make_health("web", level="warning"), make_topology("new"))
            await eventually(lambda: "▲ warning" in shown.row(" web "))
            await shown.until(" new ")
            await publish(bus, removed(make_topology("new")))
            await shown.until_gone(" new ")
            await shown.press("d")
            await shown.until("KG-001  pod shop/cart is not ready")
            await shown.until("BackOff 0")
            await shown.press("escape", "5")
            await shown.until("firing KG-001")
            await shown.press("7")
            await shown.until("no collector reports")
            await shown.press("1", "t")
            await shown.type("-10m")
            await shown.press("enter")
            await shown.until("NOT REMEMBERED")


async def test_databases_have_phase_and_figures_also_where_the_clock_of_this_machine_is_wrong(
    bus: Bus, tokens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_wrong_clock(monkeypatch, hours=-3)
    monkeypatch.setattr(over_http, "PAGE", 1)
    now, orders = datetime.now(UTC), make_ref("orders", kind="database", namespace="")
    stock = make_ref("stock", kind="database", namespace="")
    compared = make_ref("rows", kind="comparison", namespace="")
    stream = make_ref("ORDERS", kind="nats_stream", namespace="")
    of_rows: dict[str, float | None] = {coherency.COHERENCY_RATE: 0.5, coherency.MISSING: None}
    pulses = (
        DatabasePulse(ref=orders, source="db", backend="postgres", timestamp=now, interval_s=60, phase="overloaded",
                      pool=Pool(active=5, max=20, utilization=0.25)),
        DatabasePulse(ref=stock, source="db", backend="redis", timestamp=now, interval_s=60, phase="starting"),
        DatabasePulse(ref=compared, source="db", backend="coherency", timestamp=now, interval_s=60, phase="degraded",
                      custom=of_rows),
        ResourcePulse(ref=stream, source="nats", timestamp=now, interval_s=60, custom={nats.MESSAGES: 1200.0}),
    )  # fmt: skip
    await publish(bus, *(make_topology(ref=each.ref, created_at=now - timedelta(hours=10.5)) for each in pulses))
    session = await bus.session()
    for each in pulses:
        await session.request(each.ref.subject("pulse", source=each.source), encode(each))
    async with serving(bus, tokens_file=tokens) as gateway:
        await caught_up(bus, gateway)
        selection = select(cluster=["test", "elsewhere"])
        async with dashboard(GatewaySource(gateway.server.address, "ada", selection), size=(160, 50)) as shown:
            await eventually(lambda: shown.row(" orders ").rstrip().endswith("10h"))
            await shown.press("4")
            await shown.until("5/20")
            row = next(each for each in shown.lines if " overloaded " in each and "25 %" in each)
            assert "postgres" in row
            assert "starting" in shown.row(" stock "), "it is on another page"
            assert "degraded" in shown.row(" rows ")
            assert "50 %" in shown.row("coherent ")
            assert "missing –" in shown.text
            assert "no pulse" not in shown.text
            await shown.press("3")
            await shown.until("1.2 k messages")
            await shown.press("7")
            await eventually(lambda: shown.app.filling._asked_for == "pipeline")
            assert not shown.app.world.faults
        async with dashboard(GatewaySource(gateway.server.address, "ada", select(cluster=["elsewhere"]))) as shown:
            await shown.until("nothing is known of elsewhere")


async def test_a_gateway_that_is_away_is_said_stops_nothing_and_is_read_again(
    bus: Bus, tokens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RETRY_S", "SILENCES_EVERY_S"):
        monkeypatch.setattr(over_http, name, 0.2)
    await publish(bus, make_topology("cart"), make_topology("web"), make_topology("gone"))
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(serving(bus, tokens_file=tokens))
        await caught_up(bus, gateway)
        address = gateway.server.address
        async with dashboard(GatewaySource(address, "ada", select()), size=(150, 40)) as shown:
            await shown.until(" gone ")
            await shown.press("3")
            await shown.until("no server of NATS is observed")
            await stack.aclose()
            await shown.until("RECONNECTING")
            await shown.until("NATS: not read")
            await shown.press("1")
            await eventually(lambda: "NATS: not read" not in shown.text)
            assert all(f" {name} " in shown.text for name in ("cart", "web", "gone")), "what is known stays"
            await shown.press("j", "d")
            await shown.until("figures: not known")
            await shown.press("escape")
            await publish(bus, removed(make_topology("gone")), make_topology("new"))
            port = int(address.rpartition(":")[2])
            again = await stack.enter_async_context(serving(bus, tokens_file=tokens, port=port))
            await caught_up(bus, again)
            await shown.until(" new ")
            await shown.until("LIVE")
            await shown.until_gone(" gone ")
            await shown.until_gone("not read")


async def test_what_answers_and_is_no_gateway_is_said_and_ends_nothing() -> None:
    async def login(_: web.Request) -> web.Response:
        return web.Response(text="<html>log in</html>", content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", login)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        [(host, port, *_)] = runner.addresses
        async with dashboard(GatewaySource(f"http://{host}:{port}", "", select())) as shown:
            await shown.until("found text/html")
            await eventually(lambda: shown.app.world.faults.keys() == {"gateway", "silences"})
            await shown.press("7", "1")
            await shown.until("found text/html")
    finally:
        await runner.cleanup()


async def test_what_is_decided_is_stored_in_the_name_of_the_token(bus: Bus, tokens: Path) -> None:
    found = make_incident()
    await publish(bus, make_topology("cart", ref=found.root.ref))
    async with serving(bus, tokens_file=tokens) as gateway:
        await store(bus, found)
        async with dashboard(GatewaySource(gateway.server.address, "ada", select()), size=(150, 40)) as shown:
            await shown.press("5")
            await shown.until(found.title)
            await shown.press("a", "o", "k", "enter")
            [ack] = await eventually(lambda: stored(bus, NAME_BY_SIGNAL["ack"]))
            message = ACK.decode(ack.payload, subject=ack.subject)
            assert (message.by, message.note) == ("token ada", "ok")
            await shown.press("s")
            await shown.type("upgrade")
            await shown.press("enter", "y", "enter")
            [silence] = await eventually(lambda: stored(bus, NAME_BY_SIGNAL["silence"]))
            quiet = SILENCE.decode(silence.payload, subject=silence.subject)
            of = ("http", "token ada")
            recorded = [
                ("acknowledge", *of, f"incident {found.id}", "done"),
                ("silence", *of, f"silence {quiet.id}", "done"),
            ]

            async def is_recorded() -> bool:
                return await trail(bus) == recorded

            await eventually(is_recorded)
        async with dashboard(GatewaySource(gateway.server.address, "reader", select()), size=(150, 40)) as shown:
            await shown.press("5")
            await shown.until(found.title)
            await shown.press("s")
            await shown.type("upgrade")
            await shown.press("enter", "y", "enter")
            await shown.until("not stored: 403")
        assert await trail(bus) == recorded, "what is refused is no write"


async def test_a_token_that_is_refused_and_a_gateway_that_is_gone_are_said(bus: Bus, tokens: Path) -> None:
    async with serving(bus, tokens_file=tokens) as gateway:
        async with dashboard(GatewaySource(gateway.server.address, "wrong", select())) as shown:
            await shown.until("gateway: not read")
            await shown.press("question_mark")
            await eventually(lambda: any("401" in each for each in shown.app.world.faults.values()))
        address = gateway.server.address
    async with dashboard(GatewaySource(address, "ada", select())) as shown:
        await shown.until(f"gateway: expected a gateway at {address}, found none there (")
        await shown.press("q")


@given(st.lists(st.tuples(st.sampled_from(["upsert", "ready"]), st.binary(max_size=30))), st.integers(1, 9))
def test_a_stream_may_be_cut_anywhere(events: list[tuple[str, bytes]], size: int) -> None:
    clean = [(name, data.replace(b"\n", b"").replace(b"\r", b"")) for name, data in events]
    sent = b"".join(b": 12\n\nid: 7\nevent: %b\ndata: %b\n\n" % (name.encode(), data) for name, data in clean)
    parsed = Events()
    found = [each for at in range(0, len(sent), size) for each in parsed.feed(sent[at : at + size])]
    assert found == clean
