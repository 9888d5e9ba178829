"""Every program that README.md and docs/library.md print runs as printed, on a server with a small shop."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

import kgents
from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from support.build import NOW, make_ref
from support.nats_server import NatsServer
from support.process import spawn_async
from support.state import edge, make_alert, make_event, make_health, make_topology, publish
from support.waiting import within

ROOT = Path(__file__).parents[3]
PRINTED_URL = "nats://127.0.0.1:4222"
PROGRAM = re.compile(r"```python\n(.*?)```", re.DOTALL)
README = [text for text in PROGRAM.findall((ROOT / "README.md").read_text()) if "import kgents" in text]
LIBRARY = PROGRAM.findall((ROOT / "docs" / "library.md").read_text())
EXAMPLES = {
    "kgents.connect": "4 entities",
    "client.snapshot": "4 entities",
    "client.entities": "pod shop/cart-7f",
    "client.topology": "appeared: running",
    "client.health": "pod shop/cart-7f is not ready",
    "client.alerts": "critical pod shop/cart-7f: KG-001 firing",
    "client.events": "warning pod shop/cart-7f: BackOff 0",
    "client.pulses": "pod shop/cart-7f 3.1 %",
    "client.get": "service shop/cart impaired",
    "client.find": "service shop/cart impaired",
}
"""What an example shows of a part of the library → a line that it prints."""


def expected(program: str) -> str:
    """The line of the most particular part that the program uses."""
    return [line for call, line in EXAMPLES.items() if call in program][-1]


async def open_shop(bus: Bus) -> None:
    pod, deployment = make_ref(), make_ref("cart", kind="deployment")
    service = make_ref("cart", kind="service")
    labels = {"app": "cart"}
    own = [edge("owns", deployment, "in"), edge("routes", service, "in")]
    await publish(
        bus, make_topology(ref=pod, labels=labels, connections=own), make_health(level="critical"), make_alert()
    )
    await publish(bus, make_topology(ref=deployment, labels=labels), make_topology(ref=service))
    await publish(bus, make_topology(ref=make_ref("ORDERS", kind="nats_stream", namespace="")))


async def publish_changes(bus: Bus) -> None:
    """What a log begins with is what comes next: so it keeps coming."""
    session = await bus.session()
    pulse = kgents.ResourcePulse(ref=make_ref(), source="k8s", timestamp=NOW, interval_s=15, cpu_percent=3.1)
    while True:
        await publish(bus, make_event())
        await session.request(pulse.ref.subject("pulse", source="k8s"), encode(pulse))
        await asyncio.sleep(0.2)


async def run_until_printed(program: str, line: str, directory: Path) -> str:
    """What a program has printed until this line comes, or all of it."""
    process = await spawn_async(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=directory,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )  # fmt: skip
    assert process.stdout is not None
    printed = ""
    try:
        async with within(30):
            while line not in printed and (read := await process.stdout.readline()):
                printed += read.decode()
    except TimeoutError:
        pass  # what was printed instead is the evidence
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    return printed


@pytest.mark.parametrize("number", range(len(LIBRARY)))
async def test_an_example_of_the_library_runs_as_printed(
    server: NatsServer, bus: Bus, tmp_path: Path, number: int
) -> None:
    program = LIBRARY[number]
    await open_shop(bus)
    publishing = asyncio.create_task(publish_changes(bus))
    try:
        line = expected(program)
        assert line in await run_until_printed(program.replace(PRINTED_URL, server.url), line, tmp_path)
    finally:
        publishing.cancel()
        await asyncio.wait([publishing])


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ("client.topology(", "nats_stream ORDERS appeared: running"),
        ("client.entities(", "pod shop/cart-7f of deployment shop/cart is critical: pod shop/cart-7f is not ready"),
    ],
)
async def test_a_program_of_the_readme_runs_as_printed(
    server: NatsServer, bus: Bus, tmp_path: Path, part: str, line: str
) -> None:
    (program,) = (text for text in README if part in text)
    await open_shop(bus)

    assert line in await run_until_printed(program.replace(PRINTED_URL, server.url), line, tmp_path)
    assert len(program.splitlines()) <= 15


def test_every_iterator_has_an_example_of_ten_lines() -> None:
    for name in ("entities", "topology", "health", "alerts", "events", "pulses"):
        (program,) = (text for text in LIBRARY if f"client.{name}(" in text)
        assert len([line for line in program.splitlines() if line]) <= 10


def test_every_public_name_is_explained() -> None:
    page = (ROOT / "docs" / "library.md").read_text()
    parts = {"Affected", "Edge", "Change", "Client", "Difference", "Reason", "Ref", "ResolvedConnection", "Pulse"}
    results = {"StateStream", "LogStream", "BusError"}
    for name in set(kgents.__all__) - parts - results:
        assert name in page, name
