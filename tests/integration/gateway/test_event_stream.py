"""The event stream as a client sees it."""

from kgents_shared.bus.client import Bus
from support.gateway import EVENTS, Running, reading, serving
from support.state import make_event, make_health, make_topology, publish, remake
from support.waiting import eventually


async def test_new_events_arrive_and_a_client_that_comes_back_misses_none(bus: Bus, gateway: Running) -> None:
    async with reading(gateway, EVENTS) as reader:
        await publish(bus, make_event(number=1), make_event(number=2))
        await eventually(lambda: len(reader.data("event")) == 2)
    await publish(bus, make_event(number=3))
    async with reading(gateway, EVENTS, last_id=reader.last_id) as again:
        await eventually(lambda: [each["text"][-1] for each in again.data("event")] == ["3"])


async def test_a_client_may_begin_with_the_last_ones_and_filter(bus: Bus) -> None:
    await publish(bus, make_topology("a"), make_health("a", level="critical"), make_topology("b"))
    await publish(bus, *(make_event("a", number=number) for number in range(3)), make_event("b", severity="error"))
    async with serving(bus) as gateway:
        async with reading(gateway, EVENTS, last=10) as reader:
            await eventually(lambda: len(reader.data("event")) == 4)
        async with reading(gateway, EVENTS, last=10, levels="critical") as reader:
            await eventually(lambda: len(reader.data("event")) == 3)
        async with reading(gateway, EVENTS, last=10, severities="error", namespaces="shop") as reader:
            await eventually(lambda: len(reader.data("event")) == 1)


async def test_an_id_of_another_stream_is_a_reset(bus: Bus) -> None:
    await publish(bus, make_event(number=1))
    async with serving(bus) as first, reading(first, EVENTS, last=1) as reader:
        await eventually(lambda: reader.last_id != "")
    await remake(bus, "KGENTS_EVENT")
    async with serving(bus) as second, reading(second, EVENTS, last_id=reader.last_id) as again:
        await eventually(lambda: "reset" in again.names)
