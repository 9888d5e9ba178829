"""Other streams that store our subjects: of a hub or a leaf node with JetStream of its own, in the same account.

Subjects pass over a leaf node and stream names do not, so each side may have all our streams, and both store and
acknowledge every message: sequences differ, and of two guarded writes each is refused on one side. A message that
expects a stream of another name is stored by none, and refused by each that captures its subject, so refusals count
them. This is asked before the first message. What answers too late for that shows by its answers to all that is
published: `Publisher.answered_twice`.
"""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Final

from nats.aio.msg import Msg

from kgents_shared.bus import requests
from kgents_shared.bus.deadline import Deadline
from kgents_shared.bus.provision import Create, Plan, Refuse
from kgents_shared.bus.session import Session
from kgents_shared.contract.errors import ProvisionError
from kgents_shared.contract.streams import NAME_BY_SIGNAL

ANSWERS_S: Final = 0.3
"""How long further answers are awaited, as over a leaf connection, once our own streams have answered."""
_EXPECTED_STREAM: Final = "Nats-Expected-Stream"


async def require_one_store_of(session: Session, plan: Plan) -> None:
    """What to ask before a plan is carried out.

    Raises:
        ProvisionError: messages would be stored by more than the stream of the plan.
    """
    probes = {stream: requests.probe_of(signal) for signal, stream in NAME_BY_SIGNAL.items()}
    ours = {step.stream for step in plan.steps if not isinstance(step, Create)}
    counts = await _counts(session, probes, ours & probes.keys())
    for step in plan.steps:
        if not isinstance(step, Refuse):
            _check(step.stream, counts[step.stream] - (step.stream in ours))


async def require_one_store(session: Session, stream: str, subject: str) -> None:
    """What a service asks, of a subject that it may publish to.

    Raises:
        ProvisionError: its messages are stored by more than the stream.
    """
    _check(stream, (await _counts(session, {stream: subject}, {stream}))[stream] - 1)


def _check(stream: str, others: int) -> None:
    if others > 0:
        raise ProvisionError(
            f"expected {stream} to be the only stream of its messages, found {others} more in another JetStream of "
            "this account, as behind a leaf node: each message is stored twice; "
            f"try: keep the streams on one side, and on the other `nats stream rm {stream}`"
        )


async def _counts(session: Session, subjects: Mapping[str, str], ours: Collection[str]) -> Mapping[str, int]:
    """Stream → subject, as stream → how many streams of any JetStream capture the subject.

    Args:
        session: where to ask.
        subjects: what to ask about.
        ours: streams that there are in our JetStream. They answer, unless they can store nothing now.
    """
    counts = dict.fromkeys(subjects, 0)
    inbox = session.new_inbox()
    answered = asyncio.Event()

    async def on_answer(answer: Msg) -> None:
        if answer.data:  # else there is no stream at all
            counts[answer.subject.rpartition(".")[2]] += 1
        if all(counts[each] for each in ours):
            answered.set()

    unsubscribe = await session.subscribe(f"{inbox}.*", on_answer)
    for stream, subject in subjects.items():
        await session.publish(subject, b"", reply=f"{inbox}.{stream}", headers={_EXPECTED_STREAM: "-"})
    if ours:
        await _until(answered, session.timeout_s)
    await _until(session.lost, ANSWERS_S)
    await unsubscribe()
    return counts


async def _until(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with Deadline(seconds):
            await event.wait()
