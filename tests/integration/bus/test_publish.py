"""A publisher and the connection that it shares with others."""

import asyncio
import json
import urllib.request
from typing import Any

from kgents_shared.bus.client import Bus
from kgents_shared.bus.publish import Publisher
from support.nats_server import NatsServer
from support.running import running
from support.waiting import eventually


async def test_a_publisher_that_has_ended_leaves_no_subscription_on_the_connection(
    nats: NatsServer, provisioned: Bus
) -> None:
    async def subscriptions() -> int:
        def read() -> Any:
            with urllib.request.urlopen(f"{nats.monitor_url}/connz") as answer:  # noqa: S310 - a server of our own
                return json.load(answer)

        return int((await asyncio.to_thread(read))["connections"][0]["subscriptions"])

    before = await subscriptions()
    for _ in range(3):  # as each replay of the demo has one
        publisher = Publisher(provisioned)
        async with running(publisher.run()):
            await publisher.send_one("kgents.pulse.test.k8s.pod.shop.cart", b"{}", {})

    async def are_gone() -> bool:
        return await subscriptions() == before

    await eventually(are_gone)
