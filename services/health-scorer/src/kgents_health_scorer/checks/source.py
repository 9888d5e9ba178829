"""KG-010 to KG-019, whether entities are observed at all: the message of a source → silent, or unread in part.

One alert for each source, however many entities it leaves unknown. Part of the catalogue.
"""

from typing import Final

from kgents_health_scorer.checks.check import Check, State, StateCheck
from kgents_health_scorer.checks.status import NOT_KNOWN
from kgents_shared.contract.sentence import stale_entities, unread_scopes, unread_why
from kgents_shared.contract.vocabulary import kinds


def _silent(state: State) -> str | None:
    source = state.entity
    is_silent = any(each.is_everything for each in source.unread)
    return f"{unread_why(source)}; {stale_entities(source)}" if is_silent else None


def _unread(state: State) -> str | None:
    source = state.entity
    if not source.unread or any(each.is_everything for each in source.unread):
        return None
    return f"{unread_scopes(source)}: {unread_why(source)}; {stale_entities(source)}"


CHECKS: Final[tuple[Check, ...]] = (
    StateCheck(
        id="KG-010",
        name="source silent",
        applies_to=frozenset({kinds.SOURCE}),
        find=_silent,
        severity=NOT_KNOWN,
        means_unknown=True,
        text="{entity} reports nothing: {value}.",
        why="Its collector is down, unreachable, or cannot read anything. What is known of its entities may be out "
        "of date: readers show them as stale and their health as unknown. The entities themselves may be healthy. "
        "`kgents doctor` shows the collector.",
        source="No heartbeat for 30 s, or 15 s of heartbeats that attest nothing: a restart takes less.",
    ),
    StateCheck(
        id="KG-011",
        name="source unread in part",
        applies_to=frozenset({kinds.SOURCE}),
        find=_unread,
        severity=NOT_KNOWN,
        means_unknown=True,
        text="{entity} cannot read {value}.",
        why="The collector works, but one resource, engine, target or entity of its source gives no answer or no "
        "permission. Only what the alert names is stale.",
        source="15 s, so at least two polls: one that fails is repeated.",
    ),
)
