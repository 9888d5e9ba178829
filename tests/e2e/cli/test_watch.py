import asyncio
import json
import signal

import pytest
from nats.aio.client import Client

from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Health
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.topology import TopologyEntity
from support.build import NOW, make_entity
from support.kgents_command import PROGRAM, Kgents, Result, publish, result_of, start_kgents
from support.nats_server import NatsServer
from support.process import spawn_async
from support.waiting import within

CART = Ref("prod", "pod", "cart-7f", "shop")


async def watched(server: NatsServer, *args: str, lines: int) -> tuple[list[str], Result]:
    """Watch until so many lines have come, then press Ctrl-C."""
    process = await start_kgents("watch", *args, "--nats", server.url)
    assert process.stdout is not None
    async with within(20):
        seen = [(await process.stdout.readline()).decode().rstrip("\n") for _ in range(lines)]
    process.send_signal(signal.SIGINT)
    return seen, await result_of(process)


async def test_the_state_comes_first_and_then_what_changes(server: NatsServer, client: Client) -> None:
    await publish(client, TopologyEntity(text="gone", ref=Ref("prod", "pod", "old"), op="remove"))
    await publish(client, TopologyEntity(text="pod shop/cart-7f appeared", ref=CART, status="running"))
    process = await start_kgents("watch", "--nats", server.url)
    assert process.stdout is not None
    async with within(20):
        first = (await process.stdout.readline()).decode()
        await publish(client, TopologyEntity(text="pod shop/cart-7f is failed", ref=CART, status="failed"))
        second = (await process.stdout.readline()).decode()
    process.send_signal(signal.SIGINT)
    code, rest, _ = await result_of(process)
    assert first.endswith("  healthy   pod shop/cart-7f appeared\n")
    assert second.endswith("  critical  pod shop/cart-7f is failed\n")
    assert (code, rest) == (130, "")


async def test_a_filter_may_span_streams_and_json_is_the_message_itself(server: NatsServer, client: Client) -> None:
    await publish(client, TopologyEntity(text="there", ref=CART))
    await publish(client, Health(text="fine", ref=CART, score=1.0, level="healthy"))
    await publish(client, TopologyEntity(text="elsewhere", ref=Ref("lab", "pod", "x")))
    lines, _ = await watched(server, "kgents.*.prod.>", "-o", "json", lines=2)
    assert {json.loads(line)["text"] for line in lines} == {"there", "fine"}


@pytest.mark.parametrize(("filter_", "expected"), [("kgents.*.prod.>", "next"), ("kgents.health.prod.>", "is gone")])
async def test_a_departure_is_one_line(filter_: str, expected: str, server: NatsServer, client: Client) -> None:
    await publish(client, Health(text="fine", ref=CART, score=1.0, level="healthy"))
    process = await start_kgents("watch", filter_, "--nats", server.url)
    assert process.stdout is not None
    async with within(20):
        await process.stdout.readline()
        await publish(client, Health(text="is gone", ref=CART, op="remove"))
        await publish(client, Health(text="next", ref=CART, score=1.0, level="healthy"))
        second = (await process.stdout.readline()).decode()
    process.send_signal(signal.SIGINT)
    await result_of(process)
    assert second.rstrip().endswith(expected)


async def test_a_writer_that_falls_silent_and_is_back_is_a_line_of_its_own(server: NatsServer, client: Client) -> None:
    await publish(client, TopologyEntity(text="pod shop/cart-7f appeared", ref=CART, status="running"))
    await beat(client)
    text, as_json = [await start_kgents("watch", *more, "--nats", server.url) for more in ((), ("-o", "json"))]
    assert text.stdout is not None
    assert as_json.stderr is not None
    async with within(40):
        assert (await text.stdout.readline()).decode().endswith("pod shop/cart-7f appeared\n")
        silent = (await text.stdout.readline()).decode()
        note = (await as_json.stderr.readline()).decode()
        await beat(client)
        back = (await text.stdout.readline()).decode()
    for each in (text, as_json):
        each.send_signal(signal.SIGINT)
    _, rest, _ = await result_of(text)
    _, messages, _ = await result_of(as_json)
    assert "  unknown   topology-builder of cluster prod does not keep anything up to date since " in silent
    assert silent.endswith("Z: no heartbeat\n")
    assert back.endswith("  healthy   topology-builder of cluster prod keeps all of it up to date again\n")
    assert rest == ""
    assert [json.loads(line)["text"] for line in messages.splitlines()] == ["pod shop/cart-7f appeared"]
    assert "does not keep anything up to date" in note


async def beat(client: Client) -> None:
    """A heartbeat of a builder at work. It stays, as on a server that cannot drop it."""
    service = "topology-builder"
    message = Heartbeat(
        text=f"{service} b is in sync", service=service, instance="b", version="1", started_at=NOW, state="in_sync"
    )
    await client.jetstream().publish(f"kgents.meta.prod.{service}.b", encode(message))


async def test_a_log_begins_with_what_is_new_unless_since_says_otherwise(server: NatsServer, client: Client) -> None:
    subject = "kgents.event.prod.k8s.pod.shop.cart-7f"
    for number in range(3):
        await client.jetstream().publish(subject, b'{"text":"event %d","severity":"warning"}' % number)
    lines, _ = await watched(server, "kgents.event.>", "--since", "1m", lines=3)
    assert [line.split("  ")[-1].strip() for line in lines] == ["event 0", "event 1", "event 2"]


async def test_a_message_without_text_is_summed_up(server: NatsServer, client: Client) -> None:
    await publish(client, make_entity(reason="CrashLoopBackOff"))
    lines, _ = await watched(server, "kgents.entity.>", lines=1)
    assert lines[0].endswith("pod shop/cart-7f: running (CrashLoopBackOff)")


async def test_a_reader_that_leaves_ends_it_quietly(server: NatsServer, client: Client) -> None:
    await publish(client, TopologyEntity(text="there", ref=CART))
    process = await spawn_async(
        "sh",
        "-c",
        f"{PROGRAM} watch --nats {server.url} | head -1",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    publishing = asyncio.create_task(keep_publishing(client))
    code, out, err = await result_of(process)
    publishing.cancel()
    assert (code, err) == (0, "")
    assert out.rstrip().endswith("there")


@pytest.mark.parametrize(
    "command", ["watch", "watch 'kgents.event.>' --since 1m", "get pods -w", "get pods -w -o json", "events -w"]
)
async def test_a_reader_that_leaves_ends_it_while_nothing_is_published(
    command: str, server: NatsServer, client: Client
) -> None:
    await publish(client, TopologyEntity(text="there", ref=CART))
    await client.jetstream().publish("kgents.event.prod.k8s.pod.shop.cart-7f", b'{"text":"there","severity":"info"}')
    process = await spawn_async(
        "sh",
        "-c",
        f"{PROGRAM} {command} --nats {server.url} | head -1",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    code, out, err = await result_of(process)
    assert (code, err) == (0, "")
    assert out


async def keep_publishing(client: Client) -> None:
    while True:
        await publish(client, TopologyEntity(text="there", ref=CART))
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("filter_", "advice"),
    [
        ("orders.>", "expected a filter below kgents."),
        ("kgents.topolgy.>", "did you mean topology?"),
        ("kgents.topology.prod", "kgents.topology.<cluster>.<kind>.<namespace>.<name>"),
    ],
)
async def test_a_subject_that_is_none_of_ours_is_a_usage_error(filter_: str, advice: str, kgents: Kgents) -> None:
    code, out, err = await kgents("watch", filter_)
    assert (code, out) == (2, "")
    assert advice in err


async def test_missing_streams_lead_to_provision(kgents: Kgents) -> None:
    code, _, err = await kgents("watch")
    assert code == 1
    assert err.rstrip().endswith("`kgents provision`")
