"""Ten thousand entities on the map: few draw calls, and a change is seen from afar."""

import asyncio
from typing import Any

from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from support.browser import page_at
from support.gateway import Running
from support.map_picture import DRAWN_AT_MOST, OF_SCREENSHOTS, figure, is_drawn, spots
from support.state import edge, make_health, make_topology, publish, subject_of
from support.waiting import eventually

NAMESPACES, PODS = 160, 61
TOGETHER = 200
"""Messages on their way at once."""


async def test_ten_thousand_entities_are_drawn_with_few_calls_and_a_change_is_seen_from_afar(
    bus: Bus, gateway: Running, browser: Any
) -> None:
    messages = []
    for number in range(NAMESPACES):
        namespace = f"team-{number}"
        owner = Ref("test", "deployment", "web", namespace)
        pods = [Ref("test", "pod", f"web-{pod}", namespace) for pod in range(PODS)]
        messages.append(make_topology(ref=owner))
        messages += [make_topology(ref=pod, connections=[edge("owns", owner, "in")]) for pod in pods]
    session = await bus.session()
    for start in range(0, len(messages), TOGETHER):
        async with asyncio.TaskGroup() as group:
            for message in messages[start : start + TOGETHER]:
                group.create_task(session.request(subject_of(message), encode(message)))
    await eventually(lambda: len(gateway.gateway.current.fold) == len(messages), 60)
    address = f"{gateway.server.address}#view=space"
    async with page_at(browser, address, color_scheme="light", allowed=(OF_SCREENSHOTS,)) as page:
        await page.locator(".map-count", has_text=f"{len(messages):,} entities").wait_for()
        await is_drawn(page)
        assert int(await figure(page, "calls")) <= DRAWN_AT_MOST
        assert await spots(page, "--level-critical") == []
        await publish(bus, make_health(ref=Ref("test", "pod", "web-7", "team-3"), level="critical"))
        await eventually(lambda: _is_seen(page), 60)


async def _is_seen(page: Any) -> bool:
    return len(await spots(page, "--level-critical")) > 0
