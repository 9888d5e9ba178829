"""What was released stays readable, in both directions; and the checker that says so sees every way to break it."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kgents_shared.contract.subjects import FIELDS
from reference.schemas import VERSION, schema
from support.compatibility import breaking_changes

RELEASED = Path(__file__).parent / "released"
"""Schemas as they were released, copied from docs/reference/schemas at each release of this version of the contract."""

Schema = dict[str, Any]
Mutation = Callable[[Schema], object]


def released(signal: str) -> Schema:
    return json.loads((RELEASED / f"v{VERSION}" / f"{signal}.json").read_bytes())  # type: ignore[no-any-return]


@pytest.mark.parametrize("signal", [path.stem for path in (RELEASED / f"v{VERSION}").glob("*.json")])
def test_the_contract_is_compatible_with_its_release(signal: str) -> None:
    assert breaking_changes(released(signal), schema(signal)) == []


def test_no_released_signal_is_gone() -> None:
    assert {path.stem for path in (RELEASED / f"v{VERSION}").glob("*.json")} <= set(FIELDS)


# The checker itself


def health(mutated: Schema) -> Schema:
    return mutated["$defs"]["Health"]["properties"]  # type: ignore[no-any-return]


def definition(mutated: Schema, name: str) -> Schema:
    return mutated["$defs"][name]  # type: ignore[no-any-return]


def rename(fields: Schema, old: str, new: str) -> None:
    fields[new] = fields.pop(old)


REFUSED: dict[str, tuple[str, Mutation, str]] = {
    "removed field": ("health", lambda m: health(m).pop("since"), "Health.since is gone"),
    "renamed field": ("health", lambda m: rename(health(m), "level", "grade"), "Health.level is gone"),
    "removed part": ("health", lambda m: m["$defs"].pop("Reason"), "Reason is gone"),
    "changed type": (
        "health",
        lambda m: health(m)["evaluated"].update(type="string"),
        "Health.evaluated admits other values",
    ),
    "integer widened to number": (
        "health",
        lambda m: health(m)["evaluated"].update(type="number"),
        "Health.evaluated admits other values",
    ),
    "union widened by a scalar": (
        "health",
        lambda m: definition(m, "Reason")["properties"]["value"]["anyOf"].append({"type": "boolean"}),
        "Reason.value admits other values",
    ),
    "union narrowed": (
        "health",
        lambda m: definition(m, "Reason")["properties"]["value"]["anyOf"].pop(0),
        "Reason.value admits other values",
    ),
    "no longer null": (
        "health",
        lambda m: health(m)["since"]["anyOf"].remove({"type": "null"}),
        "Health.since admits other values",
    ),
    "narrowed range": ("health", lambda m: health(m)["score"].update(minimum=0.1), "Health.score admits other values"),
    "widened range": ("health", lambda m: health(m)["score"].update(maximum=100), "Health.score admits other values"),
    "new range": (
        "health",
        lambda m: health(m)["applicable"].update(minimum=1),
        "Health.applicable admits other values",
    ),
    "open text closed by an enum": (
        "health",
        lambda m: health(m)["level"].update(enum=["healthy", "critical"]),
        "Health.level admits other values",
    ),
    "changed type of list items": (
        "health",
        lambda m: health(m)["reasons"].update(items={"type": "string"}),
        "Health.reasons admits other values",
    ),
    "changed type of mapping values": (
        "health",
        lambda m: definition(m, "Aggregate")["properties"]["status_breakdown"].update(
            additionalProperties={"type": "number"}
        ),
        "Aggregate.status_breakdown admits other values",
    ),
    "new required field": (
        "health",
        lambda m: (health(m).update(grade={"type": "string"}), definition(m, "Health")["required"].append("grade")),
        "Health.grade is required now",
    ),
    "optional field made required": (
        "health",
        lambda m: definition(m, "Health")["required"].append("uid"),
        "Health.uid is required now",
    ),
    "required field made optional": (
        "health",
        lambda m: definition(m, "Health")["required"].remove("ref"),
        "Health.ref is not required any more",
    ),
    "another default": ("health", lambda m: health(m)["evaluated"].update(default=1), "Health.evaluated has another"),
    "another default that is written out": (
        "health",
        lambda m: health(m)["level"].update(default="healthy"),
        "Health.level has another",
    ),
    "closed to unknown fields": (
        "health",
        lambda m: definition(m, "Health").update(additionalProperties=False),
        "Health admits other objects",
    ),
    "changed tag": (
        "pulse",
        lambda m: definition(m, "DatabasePulse")["properties"]["type"].update(enum=["DATABASE"]),
        "DatabasePulse.type admits other values",
    ),
    "another tag field": (
        "pulse",
        lambda m: m["discriminator"].update(propertyName="sort"),
        "the field that distinguishes them",
    ),
    "new variant, which an old reader cannot take": (
        "meta",
        lambda m: (m["$defs"].update(Note={"type": "object"}), m["anyOf"].append({"$ref": "#/$defs/Note"})),
        "the set of messages",
    ),
    "removed type of pulse": (
        "pulse",
        lambda m: (m["anyOf"].pop(), m["discriminator"]["mapping"].popitem()),
        "the set of messages",
    ),
    "type of pulse under another tag": (
        "pulse",
        lambda m: rename(m["discriminator"]["mapping"], "DB_PULSE", "DATABASE"),
        "the set of messages",
    ),
    "type of pulse without a tag": (
        "pulse",
        lambda m: (m["$defs"].update(Note={"type": "object"}), m["anyOf"].append({"$ref": "#/$defs/Note"})),
        "the set of messages",
    ),
    "removed variant": ("meta", lambda m: m["anyOf"].pop(), "the set of messages"),
}

ACCEPTED: dict[str, tuple[str, Mutation]] = {
    "nothing": ("health", lambda m: m),
    "new optional field": ("health", lambda m: health(m).update(grade={"type": "string", "default": ""})),
    "new optional part": (
        "health",
        lambda m: (
            m["$defs"].update(Trend={"type": "object", "properties": {"slope": {"type": "number"}}}),
            health(m).update(trend={"anyOf": [{"$ref": "#/$defs/Trend"}, {"type": "null"}], "default": None}),
        ),
    ),
    "new type of pulse, which an old reader passes over": (
        "pulse",
        lambda m: (
            m["$defs"].update(Note={"type": "object"}),
            m["anyOf"].append({"$ref": "#/$defs/Note"}),
            m["discriminator"]["mapping"].update(NOTE="#/$defs/Note"),
        ),
    ),
    "other words": ("health", lambda m: health(m)["score"].update(description="How well it is.", title="Score")),
    "another order of alternatives": (
        "health",
        lambda m: definition(m, "Reason")["properties"]["value"]["anyOf"].reverse(),
    ),
    "another order of fields": ("health", lambda m: rename(health(m), "text", "text")),
    "another order of required fields": ("health", lambda m: definition(m, "Health")["required"].reverse()),
}


@pytest.mark.parametrize(("signal", "mutate", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_breaking_change_is_refused(signal: str, mutate: Mutation, reason: str) -> None:
    mutated = copy.deepcopy(schema(signal))
    mutate(mutated)
    assert reason in "\n".join(breaking_changes(schema(signal), mutated))


@pytest.mark.parametrize(("signal", "mutate"), ACCEPTED.values(), ids=ACCEPTED)
def test_a_benign_change_is_accepted(signal: str, mutate: Mutation) -> None:
    mutated = copy.deepcopy(schema(signal))
    mutate(mutated)
    assert breaking_changes(schema(signal), mutated) == []


def test_a_field_named_like_an_annotation_is_still_a_field() -> None:
    old: Schema = {"$defs": {"Entity": {"type": "object", "properties": {"title": {"type": "string"}}}}}
    new: Schema = {"$defs": {"Entity": {"type": "object", "properties": {"title": {"type": "integer"}}}}}
    assert breaking_changes(old, new) == ["Entity.title admits other values than before"]
