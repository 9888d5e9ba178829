"""The law of every signal: a message is accepted on the subject of what it is about, and on no other subject."""

from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kgents_shared.contract import meta, subjects
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.audit import AuditRecord
from kgents_shared.contract.codec import BY_SIGNAL, encode
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.event import Event
from kgents_shared.contract.health import Health
from kgents_shared.contract.notice import Notice
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.silence import Silence
from kgents_shared.contract.subjects import FIELDS
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.wire import Wire
from support.build import NOW
from support.incidents import make_incident

names = st.sampled_from(["a", "b", "a.b", "_", "", "x" * 130, "lease"]) | st.text(max_size=8)


WITHOUT_REF: dict[str, Callable[[dict[str, str]], Wire]] = {
    "incident": lambda field: make_incident(cluster=field["cluster"], id=field["incident"]),
    "notice": lambda field: Notice(
        text="t", cluster=field["cluster"], receiver=field["receiver"], incident=field["incident"]
    ),
    "silence": lambda field: Silence(
        text="t", cluster=field["cluster"], id=field["silence"], starts_at=NOW, ends_at=NOW, by="ada", reason="r"
    ),
    "ack": lambda field: Acknowledgement(
        text="t", by="ada", at=NOW, cluster=field["cluster"], incident=field["incident"]
    ),
    "audit": lambda field: AuditRecord(
        text="t",
        cluster=field["cluster"],
        action=field["action"],
        id="1",
        stage="begun",
        by="ada",
        via="cli",
        target="x",
    ),
}


def message(signal: str, field: dict[str, str]) -> Wire:
    """A message about what the fields of a subject name."""
    if signal == "meta":
        return heartbeat(field["service"], field["instance"])
    if signal in WITHOUT_REF:
        return WITHOUT_REF[signal](field)
    ref, source = Ref(field["cluster"], field["kind"], field["name"], field["namespace"]), field.get("source", "")
    makers: dict[str, Callable[[], Wire]] = {
        "entity": lambda: Entity(ref=ref, source=source),
        "pulse": lambda: ResourcePulse(ref=ref, source=source, timestamp=NOW, interval_s=1.0),
        "event": lambda: Event("t", "id", ref, source, "Normal", "Started", "info", NOW, NOW),
        "topology": lambda: TopologyEntity(text="t", ref=ref),
        "health": lambda: Health(text="t", ref=ref),
        "alert": lambda: Alert(text="t", ref=ref, check=field["check"], state="firing", severity="warning"),
    }
    return makers[signal]()


def heartbeat(service: str, instance: str) -> meta.Heartbeat:
    return meta.Heartbeat("t", service, instance, "1", NOW, "in_sync")


@st.composite
def about(draw: st.DrawFn, signal: str) -> dict[str, str]:
    return {field: draw(names) for field in FIELDS[signal]}


@pytest.mark.parametrize("signal", FIELDS)
@given(data=st.data())
def test_a_body_is_accepted_on_its_own_subject_and_on_no_other(signal: str, data: st.DataObject) -> None:
    mine, other = data.draw(about(signal)), data.draw(about(signal))
    assume(not meta.is_reserved(mine.get("instance", "")))
    if signal == "meta":  # its cluster is in the subject alone
        other["cluster"] = mine["cluster"]
    payload = encode(message(signal, mine))
    own, foreign = subjects.build(signal, **mine), subjects.build(signal, **other)

    assert encode(BY_SIGNAL[signal].decode(payload, subject=own)) == payload
    if foreign != own:
        with pytest.raises(MalformedMessageError, match=f"not a valid {signal} message: expected"):
            BY_SIGNAL[signal].decode(payload, subject=foreign)


LEASE = meta.Lease(text="t", holder="i1/1", acquired_at=NOW)
LETTER = meta.DeadLetter(text="t", subject="s", reason="r", evidence="KGENTS_PULSE:1")


@pytest.mark.parametrize(
    ("body", "instance", "is_right"),
    [
        (LEASE, "lease", True),
        (LEASE, "host-1", False),
        (LEASE, "dead-letter-pulse-1", False),
        (LETTER, "dead-letter-pulse-1", True),
        (LETTER, "lease", False),
        (LETTER, "host-1", False),
        (heartbeat("s", "host-1"), "host-1", True),
        (heartbeat("s", "lease"), "lease", False),
        (heartbeat("s", "dead-letter-pulse-1"), "dead-letter-pulse-1", False),
    ],
    ids=repr,
)
def test_leases_heartbeats_and_dead_letters_do_not_take_each_others_place(
    body: meta.Meta, instance: str, is_right: bool
) -> None:
    subject = subjects.build("meta", cluster="c", service="s", instance=instance)
    if is_right:
        assert BY_SIGNAL["meta"].decode(encode(body), subject=subject) == body
    else:
        with pytest.raises(MalformedMessageError):
            BY_SIGNAL["meta"].decode(encode(body), subject=subject)
