import asyncio
import hashlib
from typing import Any

from kgents_shared.bus.client import Bus
from kgents_shared.bus.dead_letters import SLOTS, DeadLetters
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import last_message
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.subject_counts import subject_counts
from kgents_shared.contract.codec import META
from kgents_shared.contract.meta import DeadLetter
from support.nats_server import NatsServer
from support.running import running
from support.waiting import eventually

SUBJECT = "kgents.entity.test.k8s.pod.shop.cart"
SLOT_7 = "kgents.meta.test.topology-builder.dead-letter-entity-7"


def make_delivery(seq: int, payload: bytes = b"{", subject: str = SUBJECT) -> Delivery:
    return Delivery(subject, payload, None, seq, 1, 0, 0)


async def test_a_message_is_noted_with_its_reason_and_digest(provisioned: Bus) -> None:
    publisher = Publisher(provisioned)
    letters = DeadLetters(publisher, "test", "topology-builder")
    payload = b'{"password": "hunter2"'
    async with running(publisher.run()):
        await letters.publish(make_delivery(SLOTS + 7, payload), "not JSON")
        await eventually(lambda: publisher.stored == 1)
    kept = await last_message(await provisioned.session(), "KGENTS_META", SLOT_7)
    assert kept is not None
    assert META.decode(kept.payload) == DeadLetter(
        text=f"topology-builder could not read KGENTS_ENTITY:71 ({SUBJECT}): not JSON",
        subject=SUBJECT,
        reason="not JSON",
        evidence="KGENTS_ENTITY:71",
        payload_base64="",
        payload_sha256=hashlib.sha256(payload).hexdigest(),
        size_bytes=len(payload),
    )
    assert kept.headers is not None
    assert kept.headers["Nats-TTL"] == "604800s"
    assert letters.count == 1


async def test_however_many_there_are_the_server_keeps_a_few(provisioned: Bus) -> None:
    publisher = Publisher(provisioned)
    letters = DeadLetters(publisher, "test", "topology-builder")
    async with running(publisher.run()):
        for seq in [*range(500), 499, 499]:
            await letters.publish(make_delivery(seq), "not JSON")
        await eventually(lambda: publisher.stored == 502)
    session = await provisioned.session()
    info = await session.api("STREAM.INFO.KGENTS_META", None, dict[str, Any])
    assert info["state"]["messages"] == SLOTS
    assert letters.count == 502


async def test_equal_sequences_of_two_streams_do_not_overwrite_each_other(provisioned: Bus) -> None:
    publisher = Publisher(provisioned)
    letters = DeadLetters(publisher, "test", "topology-builder")
    async with running(publisher.run()):
        await letters.publish(make_delivery(7), "not JSON")
        await letters.publish(make_delivery(7, subject=SUBJECT.replace("entity", "pulse")), "not JSON")
        await letters.publish(make_delivery(7, subject="odd"), "odd")
        await eventually(lambda: publisher.stored == 3)
    kept = await subject_counts(await provisioned.session(), "KGENTS_META", [">"])
    assert set(kept) == {SLOT_7, SLOT_7.replace("entity", "pulse"), SLOT_7.replace("entity", "unknown")}


async def test_a_subject_that_is_itself_malformed_is_dead_lettered(provisioned: Bus) -> None:
    publisher = Publisher(provisioned)
    async with running(publisher.run()):
        await DeadLetters(publisher, "test", "topology-builder").publish(make_delivery(7, subject="odd"), "odd")
        await eventually(lambda: publisher.stored == 1)


async def test_nats_being_away_is_no_error(provisioned: Bus, nats: NatsServer) -> None:
    publisher = Publisher(provisioned)
    letters = DeadLetters(publisher, "test", "topology-builder")
    async with running(publisher.run()):
        await publisher.ready()
        nats.kill()
        waiting = asyncio.create_task(letters.publish(make_delivery(7), "not JSON"))
        await eventually(lambda: letters.count == 1)
        await nats.start()
        await waiting


async def test_a_letter_whose_ack_is_lost_is_sent_again(provisioned: Bus, nats: NatsServer) -> None:
    publisher = Publisher(provisioned)
    letters = DeadLetters(publisher, "test", "topology-builder")
    async with running(publisher.run()):
        await publisher.ready()
        nats.pause()
        await letters.publish(make_delivery(7), "not JSON")
        nats.kill()
        await nats.start()

        async def kept() -> bool:
            await letters.send_again()
            return await last_message(await provisioned.session(), "KGENTS_META", SLOT_7) is not None

        await eventually(kept)


async def test_a_refusal_is_no_error(bus: Bus) -> None:
    publisher = Publisher(bus)
    async with running(publisher.run()):
        await DeadLetters(publisher, "test", "topology-builder").publish(make_delivery(7), "no stream for it")
        await publisher.ready()
