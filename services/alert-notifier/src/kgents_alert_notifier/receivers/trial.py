"""A receiver of the configuration, tried out by hand: a marked test and its end → what came of them."""

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from kgents_alert_notifier.delivery.decide import REQUEST_S, message_id
from kgents_alert_notifier.delivery.outcome import Delivered, Outcome
from kgents_alert_notifier.message.facts import Facts, Links
from kgents_alert_notifier.receiver_config import ReceiverConfig
from kgents_alert_notifier.receivers.deadman import Deadman
from kgents_alert_notifier.receivers.make import make
from kgents_alert_notifier.receivers.receiver import Receiver
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.incident import Incident, Root


async def trial(
    name: str, config: ReceiverConfig, *, cluster: str, id_: str, links: Links, now: Callable[[], datetime]
) -> dict[str, str]:
    """Receiver → what failed, as a class and a code; empty: it has the test. A dead-man switch is pinged.

    `id_` is the id of the test's incident: another one for each trial, since receivers recognise it by that.

    Raises:
        ImportError: it needs Apprise, which is not installed.
    """
    if config.deadman is not None:
        deadman = Deadman(config.deadman, cluster)
        try:
            return {name: await deadman.ping()}
        finally:
            await deadman.close()
    opening = _incident(name, cluster, id_, now())
    return {each: await _send(each, to, opening, links, now) for each, to in make(name, config, now).items()}


async def _send(name: str, to: Receiver, opening: Incident, links: Links, now: Callable[[], datetime]) -> str:
    """Send the opening, then its end: no trial stays open at a receiver."""
    try:
        key = message_id(opening.id, 1, name)
        opened = await to.send(Facts(incident=opening, links=links, is_test=True), key, {}, REQUEST_S)
        if not isinstance(opened, Delivered):
            return _worded(opened)
        facts = Facts(incident=_over(opening, now()), known_revision=1, known_state="open", links=links, is_test=True)
        return _worded(await to.send(facts, message_id(opening.id, 2, name), opened.handle, REQUEST_S))
    finally:
        await to.close()


def _worded(outcome: Outcome) -> str:
    return "" if isinstance(outcome, Delivered) else outcome.why


def _incident(receiver: str, cluster: str, id_: str, now: datetime) -> Incident:
    title = f"test of the receiver {receiver}"
    return Incident(
        text=title,
        title=title,
        cluster=cluster,
        id=id_,
        state="open",
        severity="warning",
        root=Root(ref=Ref(cluster, "receiver", receiver), check="test", why="a person tries out this receiver"),
        started_at=now,
        opened_at=now,
        changed_at=now,
    )


def _over(incident: Incident, now: datetime) -> Incident:
    return replace(incident, state="resolved", revision=2, changed_at=now, ended_at=now)
