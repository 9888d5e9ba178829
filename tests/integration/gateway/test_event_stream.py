"""The event stream as a client sees it."""

from kgents_shared.bus.client import Bus
from support.gateway import EVENTS, Running, SseReader, reading, serving
from support.nats_server import NatsServer
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


async def test_a_client_that_has_got_no_event_yet_misses_none_either(bus: Bus) -> None:
    await publish(bus, make_event(number=1))
    async with serving(bus) as first, serving(bus) as second:
        async with reading(first, EVENTS) as reader:
            pass
        await publish(bus, make_event(number=2))
        async with reading(second, EVENTS, last_id=reader.last_id) as again:
            await eventually(lambda: numbers(again) == ["2"])
        assert again.names == ["hello", "event"]


async def test_an_id_from_before_the_stream_was_put_back_is_a_reset(bus: Bus, server: NatsServer) -> None:
    """The stream holds another event under the same sequence."""
    await publish(bus, make_event(number=1))
    await server.copy_store()
    await publish(bus, make_event(number=2))
    async with serving(bus) as gateway:
        async with reading(gateway, EVENTS, last=1) as reader:
            await eventually(lambda: numbers(reader) == ["2"])
        await server.go_back()
        await publish(bus, make_event(number=3), make_event(number=4))
        async with serving(bus) as another:
            for each in (another, gateway):
                async with reading(each, EVENTS, last=10) as whole:
                    await eventually(lambda: numbers(whole)[-2:] == ["3", "4"])
                async with reading(each, EVENTS, last_id=reader.last_id) as again:
                    await eventually(lambda: "reset" in again.names)


def numbers(reader: SseReader) -> list[str]:
    return [each["text"][-1] for each in reader.data("event")]
