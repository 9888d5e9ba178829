"""The screen of entities over a real NATS."""

from functools import partial

from textual.command import CommandList
from textual.widget import Widget

from kgents_cli.ui.clusters import marks
from kgents_cli.ui.palette import MARKS
from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from kgents_shared.view.selection import select
from support.build import make_ref
from support.dashboard import Shown, dashboard, live
from support.nats_server import NatsServer
from support.state import edge, make_alert, make_event, make_health, make_topology, publish, removed
from support.waiting import eventually


async def test_what_is_unwell_comes_first_with_the_reason(bus: Bus) -> None:
    for name, level in (("calm", "healthy"), ("sick", "critical"), ("slow", "warning")):
        await publish(bus, make_topology(name), make_health(name, level=level))
    await publish(bus, make_topology("new"))
    async with dashboard(live(bus)) as shown:
        await shown.until("calm")
        names = ("calm", "sick", "slow", "new")
        assert [each for line in shown.lines for each in names if f" {each} " in line] == [
            "sick",
            "slow",
            "new",
            "calm",
        ]
        assert "✖ critical 0.20" in shown.row("sick")
        assert " is not ready" in shown.row("sick")
        assert "pod shop/sick" not in shown.row("sick"), "the row has named it"
        assert "? unknown" in shown.row("new")
        await eventually(lambda: "LIVE" in shown.lines[0])
        await publish(bus, make_health("calm", level="critical"))
        await eventually(lambda: "critical" in shown.row(" calm "))
        await publish(bus, removed(make_topology("sick")))
        await shown.until_gone(" sick ")


async def test_a_filter_and_a_kind_narrow_the_list_and_escape_widens_it(bus: Bus) -> None:
    await publish(bus, make_topology("cart"), make_topology("n1", ref=make_ref("n1", kind="node", namespace="")))
    async with dashboard(live(bus)) as shown:
        await shown.until("cart")
        await shown.press("slash")
        await shown.type("n1")
        await shown.until_gone("cart")
        await shown.press("enter")
        await shown.until("1 of 2")
        await shown.press("escape")
        await shown.until("cart")
        await shown.press("colon")
        await shown.type("po")
        await shown.press("enter")
        await eventually(lambda: "n1" not in shown.text.replace("/n1", ""))
        assert "cart" in shown.text
        await publish(bus, make_topology("cart-2"))
        await shown.until("cart-2")


def has_focus(shown: Shown, widget: Widget) -> bool:
    return shown.app.focused is widget


async def test_an_entity_is_described_with_what_is_connected_and_happened(bus: Bus) -> None:
    node = make_ref("n1", kind="node", namespace="")
    await publish(
        bus,
        make_topology("cart", connections=[edge("runs_on", node)], labels={"app": "cart"}),
        make_topology("web", connections=[edge("calls", make_ref("cart"))]),
        make_topology("n1", ref=node),
        make_health("cart", level="critical"),
        make_alert("cart"),
        make_event("cart"),
    )
    async with dashboard(live(bus), size=(200, 60)) as shown:
        await shown.until("cart")
        await shown.press("d")
        await shown.until("Connections")
        for each in ("in cluster test", "KG-001", "firing critical", "runs_on", "node n1", "pod shop/web", "BackOff 0"):
            await shown.until(each)
        await shown.until("not known: no pulse")
        for widget in (shown.app.pane, shown.app.table):
            await shown.press("tab")
            await eventually(partial(has_focus, shown, widget))
        await publish(bus, make_health("cart", level="warning"))
        await eventually(lambda: "warning 0.60  since" in shown.text or shown.text.count("warning 0.60") > 1)
        await shown.press("escape")
        await shown.until_gone("Connections")


async def test_a_selected_row_stays_under_the_cursor_while_others_come_before_it(bus: Bus) -> None:
    for number in range(40):
        await publish(bus, make_topology(f"pod-{number:02}"), make_health(f"pod-{number:02}"))
    async with dashboard(live(bus), size=(100, 20)) as shown:
        await shown.until("pod-00")
        await shown.press("j", "j", "j")
        await shown.press(*["j"] * 17)
        before = next(at for at, line in enumerate(shown.lines) if "pod-20" in line)
        await publish(bus, make_topology("sick"), make_health("sick", level="critical"))
        await eventually(lambda: shown.lines[1].rstrip().endswith("41"))
        assert shown.app.table.window.key == "test.pod.shop.pod-20"
        assert "pod-20" in shown.lines[before]
        await shown.press("g")
        await shown.until("sick")


async def test_the_mouse_selects_describes_and_changes_the_screen(bus: Bus) -> None:
    for name, level in (("calm", "healthy"), ("sick", "critical")):
        await publish(bus, make_topology(name), make_health(name, level=level))
    async with dashboard(live(bus), size=(160, 30)) as shown:
        await shown.until(" sick ")
        await shown.click("calm")
        await eventually(lambda: shown.app.table.window.key == "test.pod.shop.calm")
        assert shown.app.describing.key is None, "the first click selects"
        await shown.click("calm")
        await eventually(lambda: shown.app.describing.key == "test.pod.shop.calm")
        await shown.click("sick")
        await eventually(lambda: shown.app.describing.key == "test.pod.shop.sick")
        await shown.click("Events")
        await eventually(lambda: shown.app.filling.place.name == "events" and shown.app.describing.key is None)


async def test_a_connection_is_followed_by_key_and_click_and_back_again(bus: Bus) -> None:
    cart, service, node = make_ref("cart"), make_ref("front", kind="service"), make_ref("n1", kind="node", namespace="")
    links = [edge("runs_on", node), edge("routes", service, direction="in")]
    await publish(bus, make_topology("cart", connections=links), make_health("cart", level="critical"))
    await publish(bus, make_topology(ref=service), make_topology(ref=node))
    async with dashboard(live(bus), size=(160, 40)) as shown:
        await shown.until("critical")
        await shown.press("g", "d")
        await shown.until("runs_on")
        await shown.press("n", "enter")
        await shown.until(f"{node}  in cluster")
        assert shown.app.table.window.key == "test.pod.shop.cart", "the list stays where it is"
        await shown.until("runs_on")
        await shown.press("n", "enter")
        await shown.until(f"{cart}  in cluster")
        await shown.press("b", "b", "b")
        await shown.until(f"{cart}  in cluster")
        assert not shown.app.describing.is_elsewhere
        await shown.until("routes")
        await shown.click(str(service))
        await shown.until(f"{service}  in cluster")
        await shown.press("d")
        await eventually(lambda: shown.app.describing.key is None)


async def test_clusters_differ_by_a_sign(bus: Bus) -> None:
    names = [f"site-{number}" for number in range(6)]
    await publish(bus, make_topology(ref=Ref(names[3], "pod", "cart", "shop")))
    async with dashboard(live(bus), size=(160, 30)) as shown:
        await shown.until(names[3])
        alone = marks((names[3],))[names[3]]
        assert f"{MARKS[alone]} {names[3]}" in shown.lines[0]
        for name in names[:3]:
            await publish(bus, make_topology(ref=Ref(name, "pod", "cart", "shop")))
        of = marks(tuple(names[:4]))
        rows = [f"{MARKS[of[name]]} {name}" for name in names[:4]]
        await eventually(lambda: all(each in "\n".join(shown.lines[2:]) for each in rows))
    assert len({MARKS[each] for each in marks(tuple(names)).values()}) == len(names)
    async with dashboard(live(bus, select(cluster=["nope"]))) as shown:
        await shown.until("nothing is known of nope; without --cluster")


async def test_the_palette_finds_a_screen_by_its_name(bus: Bus) -> None:
    await publish(bus, make_topology("cart"))
    async with dashboard(live(bus)) as shown:
        await shown.until("cart")
        await shown.press("ctrl+p")
        await eventually(lambda: len(shown.app.screen_stack) == 2)
        await shown.type("pipeline")
        found = shown.app.screen.query_one(CommandList)
        await eventually(lambda: [str(each.prompt).split("\n")[0] for each in found.options][:1] == ["Pipeline"])
        await shown.press(*(["down"] if found.highlighted is None else []), "enter")
        await eventually(lambda: shown.app.filling.place.name == "pipeline" and len(shown.app.screen_stack) == 1)


async def test_names_that_are_code_are_text(bus: Bus) -> None:
    hostile = ("x[red]y", "[/nope]", "[@click=app.quit]z[/]", "e\x1b[31msc", "rtl\u202eevil", "広い名前", "a\nb\r\n")
    for name in hostile:
        await publish(
            bus, make_topology(name, ref=make_ref(name)), make_health(name, ref=make_ref(name), level="critical")
        )
    async with dashboard(live(bus), size=(140, 40)) as shown:
        await shown.until("✖ 7")
        for _ in hostile:
            await shown.press("d")
            await shown.until("Health")
            await shown.press("y", "escape", "j")
            await shown.press("slash")
            await shown.type("[/nope]")
            await shown.press("escape")
        for each in ("x[red]y", "[/nope]", "[@click=app.quit]z[/]", "広い名前"):
            assert each in shown.text
        assert not {"\x1b", "\u202e", "\r"} & set(shown.text)
        assert all(strip.cell_length == 140 for strip in shown.app.screen._compositor.render_strips())


async def test_a_lost_server_leaves_the_picture_and_says_since_when(bus: Bus, server: NatsServer) -> None:
    await publish(bus, make_topology("cart"), make_health("cart"))
    async with dashboard(live(bus)) as shown:
        await shown.until("LIVE")
        server.kill()
        await shown.until("RECONNECTING")
        assert "cart" in shown.text
        await shown.press("d", "escape", "slash", "escape")
        await server.start()
        await shown.until("LIVE")
        await publish(bus, make_topology("cart-2"))
        await shown.until("cart-2")
