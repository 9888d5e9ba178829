"""People who log in at a provider: each sees, follows and decides what the line of their group says, and no more."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.contract.tokens import Group
from support.gateway import Running, serving
from support.in_scope import Door, answers_stay_in_scope, decisions_stay_in_scope, streams_stay_in_scope
from support.oidc import OidcProvider, log_in
from support.ports import free_port
from support.scopes import BASE, filled, priced

COOKIE = "kgents-person"


@pytest.fixture
async def people(bus: Bus, tmp_path: Path) -> AsyncIterator[tuple[Running, Door]]:
    """A gateway that knows people by their groups alone, and the session of one person for each identity."""
    groups = [Group(each.name, each.clusters, each.namespaces, each.may) for each in BASE]
    file = tmp_path / "tokens"
    file.write_text("".join(f"{each}\n" for each in groups))
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    async with OidcProvider(tmp_path, {each.name: [each.name] for each in groups}) as provider:
        await provider.start(f"{address}/login/callback")
        settings: dict[str, Any] = {
            "port": port,
            "public_url": address,
            "oidc": provider.config(),
            "prices_file": priced(tmp_path),
        }
        async with serving(bus, tokens_file=file, **settings) as gateway:
            await filled(bus, gateway)
            sessions = {each.name: await session_of(gateway, each.name) for each in groups if "read" in each.may}
            yield gateway, sessions.__getitem__


async def session_of(gateway: Running, person: str) -> dict[str, str]:
    """What their browser sends from then on."""
    async with httpx.AsyncClient(base_url=gateway.server.address, timeout=30) as browser:
        await log_in(browser, person)
        return {"cookie": f"{COOKIE}={browser.cookies[COOKIE]}", "sec-fetch-site": "same-origin"}


async def test_a_session_opens_what_a_token_of_that_scope_opens(bus: Bus, people: tuple[Running, Door]) -> None:
    gateway, door = people
    await answers_stay_in_scope(gateway, door)
    await streams_stay_in_scope(bus, gateway, door)
    await decisions_stay_in_scope(bus, gateway, door)
