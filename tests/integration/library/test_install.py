"""The library in an environment of its own: what it declares is all that it needs."""

from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from support.bare_venv import BareVenv, bare_venv
from support.nats_server import NatsServer
from support.state import make_health, make_topology, publish

IMPORT_ALL = """
import importlib, pkgutil
for name in ("kgents", "kgents_shared.contract", "kgents_shared.bus", "kgents_shared.view"):
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        importlib.import_module(module.name)
        print(module.name)
"""
PROGRAM = """
import asyncio
import kgents

async def main():
    async with kgents.connect("{url}") as client:
        print(await client.get("pod/cart-7f"))
        async for change in client.entities(kind="pod"):
            print(change.op, change.ref, change.new.level)
            break

asyncio.run(main())
"""
OF_SERVICES = ("aiohttp", "opentelemetry", "prometheus-client", "pyyaml", "structlog", "uvloop")


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> BareVenv:
    return bare_venv(tmp_path_factory.mktemp("bare"), "shared")


def test_it_brings_nothing_of_the_services(venv: BareVenv) -> None:
    assert {"msgspec", "nats-py", "nkeys"} <= venv.installed
    assert not [name for name in venv.installed if name.startswith(OF_SERVICES)]
    assert len(venv.installed) <= 6, venv.installed


def test_everything_that_readers_use_can_be_imported(venv: BareVenv) -> None:
    imported = venv.run(IMPORT_ALL).split()

    assert "kgents.client" in imported
    assert "kgents_shared.bus.login" in imported
    assert "kgents_shared.view.live" in imported


async def test_a_program_runs_there(venv: BareVenv, server: NatsServer, bus: Bus) -> None:
    await publish(bus, make_topology(), make_health(level="critical"))

    printed = venv.run(PROGRAM.format(url=server.url))

    assert printed.splitlines() == ["<pod shop/cart-7f running critical>", "added pod shop/cart-7f critical"]


def test_its_types_are_for_others_to_check(venv: BareVenv) -> None:
    markers = venv.run("import kgents, kgents_shared; print(kgents.__path__[0], kgents_shared.__path__[0])").split()

    assert all((Path(each) / "py.typed").exists() for each in markers)
