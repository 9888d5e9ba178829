"""Readers take what a newer peer writes, refuse what is malformed with one error, and never repeat a value in it."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kgents_shared.contract.codec import ALERT, BY_SIGNAL, ENTITY, EVENT, HEALTH, PULSE, encode, is_removal
from kgents_shared.contract.errors import MalformedMessageError, UnknownTypeError
from kgents_shared.contract.subjects import FIELDS
from reference.schemas import schema
from support.examples import EXAMPLES

CANARY = "c4n4ry"
"""Planted wherever a value may stand; it must not come back in an error, since errors are logged and published."""
CANARIES: list[Any] = [CANARY, [CANARY], [[CANARY]], {"k": CANARY}, {CANARY: 1}, {"k": {CANARY: None}}]
DEEP = 100_000
"""Brackets that fit easily into the server's default limit of 1 MiB for a message."""

signals = st.sampled_from(sorted(FIELDS))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
documents = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
examples = st.sampled_from(list(EXAMPLES.values()))

PARTS = {
    "ref",
    "peer",
    "connections",
    "traffic",
    "changed",
    "reasons",
    "aggregate",
    "pool",
    "memory",
    "collections",
    "cost",
    "inbound",
    "edges",
    "latency_ms",
    "client_ms",
    "server_ms",
    "gap_ms",
}
"""Fields that hold Structs."""
REF = {"cluster": "c", "kind": "k", "name": "n"}


def decode_or_error(signal: str, payload: bytes) -> str:
    """The text of the only error that may come; empty when there is none."""
    try:
        BY_SIGNAL[signal].decode(payload)
    except MalformedMessageError as error:
        return str(error)
    return ""


def planted(node: Any, value: Any) -> Iterator[Any]:
    """The document once for each place, with the value put there."""
    yield value
    if isinstance(node, dict):
        yield {**node, CANARY: value}
        for key, child in node.items():
            yield from ({**node, key: each} for each in planted(child, value))
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from ([*node[:index], each, *node[index + 1 :]] for each in planted(child, value))


def newer(node: Any) -> Any:
    """Every part of the message with a field more. Mappings stay: in `custom` a new key is a figure, not a field."""
    match node:
        case dict():
            parts = {key: newer(child) if key in PARTS else child for key, child in node.items()}
            return {**parts, "x_new": {"deep": [1, None]}}
        case list():
            return [newer(child) for child in node]
        case _:
            return node


# What a newer peer writes


@pytest.mark.parametrize(("signal", "payload"), EXAMPLES.values(), ids=EXAMPLES)
def test_unknown_fields_are_passed_over(signal: str, payload: bytes) -> None:
    assert BY_SIGNAL[signal].decode(json.dumps(newer(json.loads(payload))).encode()) == BY_SIGNAL[signal].decode(
        payload
    )


@given(kind=st.text(), connection=st.text())
def test_unknown_kinds_are_read_like_any_other(kind: str, connection: str) -> None:
    ref = {**REF, "kind": kind}
    document = {"ref": ref, "source": "s", "connections": [{"kind": connection, "peer": ref}]}
    entity = ENTITY.decode(json.dumps(document).encode())
    assert entity.ref.kind == kind
    assert entity.connections[0].kind == connection


@given(word=st.text())
def test_unknown_words_are_kept_as_they_are(word: str) -> None:
    """Status, op, level, state and severity are open sets: their reader decides, and the message is not lost."""
    entity = ENTITY.decode(json.dumps({"ref": REF, "source": "s", "status": word, "op": word}).encode())
    health = HEALTH.decode(json.dumps({"ref": REF, "text": "t", "level": word}).encode())
    alert = ALERT.decode(json.dumps({"ref": REF, "text": "t", "check": "c", "state": word, "severity": word}).encode())
    assert (entity.status, entity.op, health.level, alert.state, alert.severity) == (word,) * 5
    assert entity.is_removal is (word == "remove") is is_removal(encode(entity))


def test_a_field_left_out_has_its_default() -> None:
    entity = ENTITY.decode(json.dumps({"ref": REF, "source": "s"}).encode())
    assert (entity.op, entity.status, entity.labels, entity.is_removal) == ("upsert", "unknown", {}, False)


@given(word=st.text(min_size=1))
def test_a_pulse_of_a_type_that_a_newer_peer_introduced_is_known_as_such(word: str) -> None:
    """So that a reader passes over it, and it is no dead letter."""
    assume(word not in ("RESOURCE_PULSE", "DB_PULSE", "TRAFFIC_PULSE"))
    with pytest.raises(UnknownTypeError) as caught:
        PULSE.decode(json.dumps({"type": word, "ref": REF}).encode())
    assert str(caught.value) == "not a pulse message of a known type"


@pytest.mark.parametrize("payload", [b"{}", b'{"type": 5}', b'{"type": null}', b'{"type": "DB_PULSE"}', b"NEW"])
def test_a_malformed_pulse_is_not_taken_for_a_new_type(payload: bytes) -> None:
    with pytest.raises(MalformedMessageError) as caught:
        PULSE.decode(payload)
    assert not isinstance(caught.value, UnknownTypeError)


# What is malformed


@given(signal=signals, payload=st.binary())
def test_random_bytes_are_malformed_or_a_message(signal: str, payload: bytes) -> None:
    decode_or_error(signal, payload)


@given(signal=signals, document=documents)
def test_random_json_is_malformed_or_a_message(signal: str, document: Any) -> None:
    decode_or_error(signal, json.dumps(document).encode())


@given(example=examples, data=st.data())
def test_a_message_with_a_hole_is_malformed_or_a_message(example: tuple[str, bytes], data: st.DataObject) -> None:
    signal, payload = example
    start = data.draw(st.integers(0, len(payload)))
    stop = data.draw(st.integers(start, len(payload)))
    decode_or_error(signal, payload[:start] + data.draw(st.binary(max_size=8)) + payload[stop:])


@given(payload=st.binary() | documents.map(lambda document: json.dumps(document).encode()))
def test_asking_for_a_removal_has_one_error_only(payload: bytes) -> None:
    try:
        is_removal(payload)
    except MalformedMessageError as error:
        assert str(error)  # noqa: PT017 - which error comes is the test; that one comes is not


@pytest.mark.parametrize("signal", FIELDS)
@pytest.mark.parametrize(
    "payload", [b"[" * DEEP, b'{"x":' * DEEP, b'{"x":' + b"[" * DEEP + b"]" * DEEP + b"}"], ids=["list", "map", "field"]
)
def test_a_bottomless_document_is_malformed(signal: str, payload: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        BY_SIGNAL[signal].decode(payload)
    with pytest.raises(MalformedMessageError):
        is_removal(payload + b'"remove"')


@pytest.mark.parametrize(("signal", "payload"), EXAMPLES.values(), ids=EXAMPLES)
def test_an_error_names_the_place_and_never_the_value(signal: str, payload: bytes) -> None:
    document = json.loads(payload)
    errors = [
        decode_or_error(signal, json.dumps(spoilt).encode())
        for canary in CANARIES
        for spoilt in planted(document, canary)
    ]
    assert any(errors)
    assert [error for error in errors if CANARY in error] == []


@pytest.mark.parametrize(("signal", "payload"), EXAMPLES.values(), ids=EXAMPLES)
def test_the_published_schema_refuses_what_the_decoder_refuses(signal: str, payload: bytes) -> None:
    """So a writer in another language can trust it. Times are left out: `format` is no assertion in JSON Schema."""
    validator = jsonschema.Draft202012Validator(schema(signal))
    for canary in CANARIES:
        for spoilt in planted(json.loads(payload), canary):
            error = decode_or_error(signal, json.dumps(spoilt).encode())
            assert validator.is_valid(spoilt) is (error == "" or "RFC3339" in error), error


def test_an_error_says_what_was_expected_and_where() -> None:
    with pytest.raises(MalformedMessageError, match=r"not a valid event message: Expected `int`.* at `\$\.count`"):
        EVENT.decode(json.dumps({"text": "t", "id": "i", "ref": REF, "source": "s", "type": "t", "reason": "r",
                                 "severity": "info", "first_at": "2026-11-21T09:00:00Z",
                                 "last_at": "2026-11-21T09:00:00Z", "count": "7"}).encode())  # fmt: skip
