"""A reader that may do no more than docs/library.md says reads everything; an error names the right that is missing."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

import kgents
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig, Secret
from support.iterated import reading
from support.nats_server import NatsServer
from support.state import make_alert, make_event, make_health, make_topology, publish
from support.streams import provision_streams
from support.waiting import MACHINE, eventually

PAGE = (Path(__file__).parents[3] / "docs" / "library.md").read_text()
PASSWORD = "reader-password"
STREAMS = ("KGENTS_TOPOLOGY", "KGENTS_HEALTH", "KGENTS_ALERT", "KGENTS_EVENT", "KGENTS_META")


def rights(*, without: str = "nothing") -> list[str]:
    """The subjects that the page names, for each stream."""
    (sentence,) = re.findall(r"What its NATS user must be allowed: (.*)", PAGE)
    found = re.findall(r"`(\$JS[^`]*)`", sentence)
    names = ("CREATE", "MSG.NEXT", "DELETE")
    listed = [each.replace("{CREATE,MSG.NEXT,DELETE}", name) for each in found for name in names]
    return sorted({each.replace("<stream>", stream) for each in listed for stream in STREAMS if without not in each})


def server_of(directory: Path, allowed: list[str]) -> NatsServer:
    permissions = f"publish: {{ allow: {json.dumps(allowed)} }}"
    return NatsServer(
        directory,
        config=(
            'authorization { users: [ { user: admin, password: "admin-password" }, '
            f'{{ user: reader, password: "{PASSWORD}", permissions: {{ {permissions}, '
            'subscribe: { allow: ["_INBOX_kgents-client.>"] } } } ] }'
        ),
    )


async def fill(server: NatsServer) -> None:
    config = NatsConfig(url=server.url, user="admin", password=Secret("admin-password"))
    async with Bus(config, name="admin") as bus:
        await provision_streams(bus)
        await publish(bus, make_topology(labels={"app": "cart"}), make_health(), make_alert(), make_event())


async def test_the_rights_of_the_page_are_enough(tmp_path: Path) -> None:
    async with server_of(tmp_path, rights()) as server:
        await fill(server)
        async with kgents.connect(server.url, user="reader", password=PASSWORD) as client:
            assert (await client.get("cart-7f")).level == "healthy"
            async with (
                reading(client.entities(label="app")) as entities,
                reading(client.alerts(label="app")) as alerts,
                reading(client.events(label="app", level="healthy", since=timedelta(hours=1))) as events,
            ):
                await eventually(lambda: entities and alerts and events)


async def test_a_right_that_is_missing_is_named(tmp_path: Path) -> None:
    async with server_of(tmp_path, rights(without="STREAM.INFO")) as server:
        await fill(server)
        async with kgents.connect(server.url, user="reader", password=PASSWORD) as client:
            with pytest.raises(kgents.BusError, match=r"STREAM\.INFO\.KGENTS_TOPOLOGY"):
                await anext(aiter(client.topology()))


async def test_a_wrong_password_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    async with server_of(tmp_path / "nats", rights()) as server:
        await fill(server)
        refused = r"(?i)authorization|while we logged in"  # the end of the connection may outrun the word on why
        timeout_s = MACHINE.limit_s(1)
        with pytest.raises(kgents.BusTimeoutError, match=refused):
            async with kgents.connect(server.url, user="reader", password=f"not-{PASSWORD}", timeout_s=timeout_s):
                pass
        async with kgents.connect(server.url, user="reader", password=tmp_path / "password") as client:
            assert len(await client.snapshot()) == 1
