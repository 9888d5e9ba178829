"""Laws of what is made of a recording: its verdict, its canonical form, and the same without a name in it."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgents_cli.recorded.canonical import canonical
from kgents_cli.recorded.moved import Moved
from kgents_cli.recorded.player import Pace
from kgents_cli.recorded.redacted import Redactor
from kgents_shared.contract import address, subjects
from kgents_shared.contract.codec import ENTITY, PULSE, encode
from kgents_shared.contract.entity import LOCAL, OTHER, PUBLIC, SPANS, Connection, Entity, Ref
from kgents_shared.contract.event import Event
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.pulse import DatabasePulse, ResourcePulse, TrafficPulse
from kgents_shared.contract.recording import STATE, Row
from kgents_shared.contract.unread import Unread
from support.build import connect_to
from support.recorded_incident import (
    CLUSTER,
    DATABASE,
    GOLDEN,
    POD,
    STARTED,
    beat,
    entity,
    incident,
    judged,
    stored,
    without_counts,
)

pytestmark = pytest.mark.property
CANARY = "canary"


def test_the_verdict_on_an_incident_is_byte_by_byte_what_it_was() -> None:
    """After a change of what services publish: `python tests/support/recorded_incident.py`, and read the difference."""
    assert without_counts(judged(incident())) == GOLDEN.read_bytes()


def test_two_verdicts_on_one_recording_are_the_same() -> None:
    assert judged(incident()) == judged(incident())


@pytest.mark.parametrize("until_s", [0, 1, 55, 110, 179])
def test_the_verdict_until_a_moment_is_how_the_whole_one_begins(until_s: int) -> None:
    assert judged(incident()).startswith(judged(incident(), until_s=until_s))


def conclusions(lines: bytes) -> Counter[tuple[object, ...]]:
    """What was concluded of how many entities, whatever they are called."""
    found = (msgspec.json.decode(line) for line in lines.splitlines())
    fields = ("status", "reason", "level", "check", "state", "severity")
    return Counter((each["ref"]["kind"], *(each.get(field) for field in fields)) for each in found)


@settings(max_examples=10)
@given(st.randoms(use_true_random=False))
def test_the_order_of_streams_within_a_second_changes_no_conclusion(rng: random.Random) -> None:
    """The server's time across streams is no order of causes; within a stream it is kept."""
    rows = incident()
    shaken = sorted(rows, key=lambda row: (row.at_us // 1_000_000, rng.random() if row.at_us >= 0 else 0.0))
    by_signal: dict[str, list[Row]] = {}
    for row in rows:
        by_signal.setdefault(row.signal, []).append(row)
    lines = {signal: iter(each) for signal, each in by_signal.items()}
    assert conclusions(judged(next(lines[row.signal]) for row in shaken)) == conclusions(judged(rows))


def test_what_this_version_cannot_read_is_passed_over() -> None:
    strange = [
        Row(1, STATE, 1, POD.subject("pulse", source="k8s"), None, b'{"type":"PULSE_OF_NEXT_YEAR"}'),
        Row(2, STATE, 1, "kgents.dream.prod.x", None, b"{}"),
        Row(3, STATE, 1, subjects.build("meta", cluster=CLUSTER, service="s", instance="i"), None, b"[]"),
    ]
    assert judged([*strange, *incident()]) == judged(incident())


def test_a_source_that_falls_silent_is_stale_and_a_nats_that_was_away_is_not() -> None:
    def told(rows: list[Row]) -> bytes:
        return judged([entity(-60, DATABASE, "db"), entity(-60, POD, "k8s"), *rows])

    both = [beat(float(at_s), source) for at_s in range(-5, 120, 5) for source in ("db", "k8s")]
    silent = [each for each in both if "collector-db" not in each.subject or each.at_us < 30_000_000]
    away = [each for each in both if not 30_000_000 < each.at_us < 90_000_000]
    assert b"source db reports nothing" in told(silent)
    assert b"reports nothing" not in told(away)


@settings(max_examples=20)
@given(st.integers(1, 10**9), st.text(min_size=1, max_size=8))
def test_a_replay_has_the_canonical_form_of_its_recording(later_s: int, cluster: str) -> None:
    moved = Moved(Pace(STARTED, STARTED + timedelta(seconds=later_s)).time, lambda _: cluster, "incident.kgrec")
    replayed = []
    for place, row in enumerate(incident()):
        if (found := moved.message(row)) is not None:
            subject, message, _ = found
            replayed.append(Row(row.at_us + 7, "P", place, subject, {"x": "y"}, encode(message)))
    assert canonical(replayed) == canonical(incident())


def test_the_canonical_form_holds_every_report_in_its_order() -> None:
    rows = incident()
    assert len(canonical(rows)) == len(rows) - 1, "all but the lease"
    assert canonical(rows) != canonical(rows[::-1])
    assert canonical(rows) != canonical(rows[:-1])


def full(type_: Any, name: str = CANARY) -> Any:
    """A message with a canary in every text that it may hold, each another one."""
    match type_:
        case _ if type_ is str:
            return f"{CANARY}-{name}"
        case _ if type_ is datetime:
            return datetime(2026, 1, 1, tzinfo=UTC)
        case _ if isinstance(type_, type) and issubclass(type_, bool | int | float):
            return type_(1)
        case _ if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
            fields = msgspec.structs.fields(type_)
            return type_(**{each.name: full(each.type, f"{name}.{each.name}") for each in fields})
        case _:
            pass
    return _full_of(msgspec.inspect.type_info(type_), name)


def _full_of(info: Any, name: str) -> Any:  # noqa: PLR0911 - a line for each kind of field
    match info:
        case msgspec.inspect.Metadata():
            return _full_of(info.type, name)
        case msgspec.inspect.UnionType():
            plain = [each for each in info.types if not isinstance(each, msgspec.inspect.NoneType)]
            texts = [each for each in plain if isinstance(each, msgspec.inspect.StrType)]
            return _full_of((texts or plain)[0], name)
        case msgspec.inspect.ListType():
            return [_full_of(info.item_type, f"{name}.item")]
        case msgspec.inspect.DictType():
            return {f"{CANARY}-{name}.key": _full_of(info.value_type, f"{name}.value")}
        case msgspec.inspect.StrType():
            return f"{CANARY}-{name}"
        case msgspec.inspect.StructType():
            return full(info.cls, name)
        case msgspec.inspect.DateTimeType():
            return datetime(2026, 1, 1, tzinfo=UTC)
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            return 1
        case _:
            pass
    raise AssertionError(f"what is {info}?")


@pytest.mark.parametrize("type_", [Entity, Event, ResourcePulse, DatabasePulse, TrafficPulse, Heartbeat])
def test_a_redacted_message_holds_no_text_of_the_original(type_: Any) -> None:
    message = full(type_)
    signal = {Entity: "entity", Event: "event", Heartbeat: "meta"}.get(type_, "pulse")
    if signal == "meta":
        subject = subjects.build("meta", cluster=CANARY, service=message.service, instance=message.instance)
    else:
        subject = message.ref.subject(signal, source=message.source)
    headers = {"traceparent": CANARY, "Nats-TTL": "15s", "Kgents-Delayed": CANARY}
    found = Redactor().row(Row(1, STATE, 2, subject, headers, encode(message)))
    assert found is not None
    assert CANARY.encode() not in found.body
    assert CANARY not in found.subject
    assert found.headers == {"Nats-TTL": "15s"}


def redacted(rows: list[Row]) -> list[Row]:
    redactor = Redactor()
    return [each for row in rows if (each := redactor.row(row)) is not None]


def test_a_redacted_recording_is_judged_as_before() -> None:
    rows = incident()
    assert conclusions(judged(redacted(rows))) == conclusions(judged(rows))
    assert not {b"cart", b"orders", b"shop", b"prod"} & {
        name for row in redacted(rows) for name in (b"cart", b"orders", b"shop", b"prod") if name in row.body
    }
    assert b'"check":"KG-301","state":"firing"' in judged(redacted(rows))


def test_a_redacted_call_is_resolved_as_before() -> None:
    peers = (OTHER, LOCAL, PUBLIC)
    calls = [Connection("http", peer, "in", evidence=SPANS) for peer in (*peers, "10.0.3.7")]
    cart = Entity(ref=Ref(CLUSTER, "app", "cart", "shop"), source="otel", connections=calls)
    row = Row(1, STATE, 2, cart.ref.subject("entity", source="otel"), {}, encode(cart))
    (found,) = (ENTITY.decode(each.body).connections for each in redacted([row]))
    assert tuple(each.peer for each in found[:3]) == peers
    assert found[3].peer not in (*peers, "10.0.3.7")
    assert {(each.kind, each.direction, each.evidence) for each in found} == {("http", "in", SPANS)}


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=6)


@given(st.lists(NAMES, min_size=2, max_size=8))
def test_two_names_stay_two_and_one_stays_one(names: list[str]) -> None:
    rows = [entity(0, Ref(CLUSTER, "pod", name, "shop"), "k8s", uid=name) for name in names]
    found = [ENTITY.decode(each.body) for each in redacted(rows)]
    pairs = set(zip(names, (each.ref.name for each in found), strict=True))
    assert len(pairs) == len(set(names)) == len({after for _, after in pairs})


@given(st.sampled_from(["10.0.3.7", "db.shop.svc", "fd00::7", "DB.shop.svc."]), st.integers(1, 65535))
def test_a_peer_still_leads_to_the_address_that_it_named(host: str, port: int) -> None:
    claimed, named = address.join(host.lower(), port), address.join(host, port)
    rows = [
        entity(0, DATABASE, "db", addresses=[claimed]),
        entity(0, POD, "k8s", connections=[connect_to(named)]),
    ]
    database, pod = (ENTITY.decode(each.body) for each in redacted(rows))
    assert [each.peer for each in pod.connections] == database.addresses
    assert database.addresses[0].endswith(f":{port}")
    assert host not in database.addresses[0]


def test_figures_and_times_are_kept() -> None:
    rows = [row for row in incident() if row.signal == "pulse"]
    for before, after in zip(rows, redacted(rows), strict=True):
        one, other = PULSE.decode(before.body), PULSE.decode(after.body)
        assert one.timestamp == other.timestamp
        assert isinstance(one, ResourcePulse) or one.custom == other.custom


def test_each_machine_stays_a_source_of_its_own() -> None:
    host = Ref(CLUSTER, "host", "web-1")
    unread = Unread("filesystem", "web-1", "/data", reason="web-1 hangs")
    message = Heartbeat("x", "collector-host", "web-1", "1", STARTED, "degraded", source="host-web-1", unread=[unread])
    subject = subjects.build("meta", cluster=CLUSTER, service="collector-host", instance="web-1")
    rows = redacted([entity(0, host, "host-web-1"), stored(subject, message, 0)])
    assert all(b"web-1" not in row.body and "web-1" not in row.subject for row in rows)
    assert ENTITY.decode(rows[0].body).source == "host-host-1"
    assert b'"source":"host-host-1"' in rows[1].body
