"""A hub and its edges: how far the copies are, waking them after a cut, and comparing both sides.

JetStream copies messages and never effects: what expired at the edge during a cut, and what was purged there, stays at
the hub until the two sets of subjects are compared. A copy that was cut goes on by itself after up to a minute; taken
out of the stream's configuration and put back it goes on at once, where it was.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from kgents_shared.bus import jetstream
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import SourceInfo
from kgents_shared.bus.publish import EXPECTED_SEQUENCE, TTL, WRONG_SEQUENCE_CODES
from kgents_shared.bus.requests import api_prefix_of
from kgents_shared.bus.session import ApiFault, Session
from kgents_shared.bus.sources import edge_of, filter_of, source_of
from kgents_shared.bus.state_view import StateView
from kgents_shared.bus.subject_counts import subject_counts
from kgents_shared.contract.codec import ENTITY, META, encode
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.errors import BusError, BusTimeoutError, MalformedMessageError
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.streams import COLLECTED, NAME_BY_SIGNAL, REMOVAL_TTL_S
from kgents_shared.contract.wire import REMOVE

STREAMS: Final = tuple(NAME_BY_SIGNAL[signal] for signal in ("entity", "pulse", "event", "meta"))
"""What a hub copies of an edge."""
SIGNALS: Final = {NAME_BY_SIGNAL[signal]: signal for signal in COLLECTED}
ANSWER_S: Final = 2.0
"""An edge whose JetStream answers no request within it counts as cut off."""
DROPPING: Final = ("max_age", "max_bytes", "max_msgs", "max_msgs_per_subject")
_NS: Final = 1_000_000_000
SILENT_NS: Final = 5 * _NS
"""A copy that runs hears from its edge every second."""
SETTLED_S: Final = 60.0
"""By then each collector has found what its stream lacks, and published it again."""
GONE: Final = "the edge no longer reports it"
"""Why an entity is removed that only the hub still has."""

_updating = asyncio.Lock()


class Copy(msgspec.Struct, frozen=True):
    """How far one stream of a hub has copied that of an edge."""

    stream: str
    edge_seq: int
    """The last sequence at the edge."""
    source: SourceInfo | None
    """None: the stream does not copy this edge."""
    age_s: float = 0.0
    """Of the stream at the edge."""
    created_at: datetime | None = None
    """When that was made; so servers that answer as one edge are known apart. None: not known."""
    refused: str = ""
    """Why the hub could refuse what the edge stores; empty: it takes all of it."""
    dropped: str = ""
    """Why the hub forgets what the edge still has; empty: it keeps as much."""
    edge_at: datetime | None = None
    """The edge's clock when it answered …"""
    hub_at: datetime | None = None
    """… and then the hub's."""

    @property
    def is_heard(self) -> bool:
        """Whether the copy runs."""
        return self.source is not None and 0 <= self.source.active < SILENT_NS

    @property
    def behind(self) -> int:
        """Messages that wait at the edge."""
        return self.source.lag if self.source is not None else self.edge_seq

    @property
    def is_settled(self) -> bool:
        """Whether what the edge lacks is gone: a stream that is new, or has gone back, is filled again."""
        return self.source is not None and self.age_s >= SETTLED_S and self.edge_seq >= self.source.seq

    @property
    def is_complete(self) -> bool:
        """Whether everything is here that the edge held a moment ago."""
        return self.is_heard and self.behind == 0


class Difference(msgspec.Struct, frozen=True):
    """The entities of one edge that only one side has, by their subjects; all empty: none."""

    gone: tuple[str, ...]
    """Only the hub has these, and their collectors attest that nothing is missing at the edge."""
    unattested: tuple[str, ...]
    """Only the hub has these, and no one attests that they are gone: they stay, stale."""
    missing: tuple[str, ...]
    """Only the edge has these."""


async def edges_of(session: Session) -> list[str]:
    """The edges that the hub copies, in any of its streams."""
    infos = [await jetstream.stream_info(session, stream) for stream in STREAMS]
    return sorted({edge for info in infos for each in info.config.get("sources") or () if (edge := edge_of(each))})


async def observe(session: Session, edge: str) -> list[Copy]:
    """How far the copies of an edge are.

    Raises:
        BusTimeoutError: the edge does not answer: its link, or the edge, is down.
    """
    return [await _observed(session, edge, stream) for stream in STREAMS]


async def _observed(session: Session, edge: str, stream: str) -> Copy:
    there = await _ask(jetstream.stream_info(session, stream, prefix=api_prefix_of(edge)), edge)
    here = await jetstream.stream_info(session, stream)
    source = next((each for each in here.sources if edge_of({"external": each.external}) == edge), None)
    age_s = (there.ts - there.created_at).total_seconds()
    limits = (here.config, there.config)
    return Copy(
        stream, there.last_seq, source, age_s, there.created_at, refused(*limits), dropped(*limits), there.ts, here.ts
    )


def refused(hub: Mapping[str, Any], edge: Mapping[str, Any]) -> str:
    """What a hub's limits refuse would stop the copy at that message, without an error of JetStream's. Pure."""
    if hub.get("discard") == "new":
        return "discard is new at the hub, which refuses messages when it is full"
    return _tighter(hub, edge, "max_msg_size")


def dropped(hub: Mapping[str, Any], edge: Mapping[str, Any]) -> str:
    """What a hub's limits drop is read nowhere, although the edge has it. Pure."""
    found = [text for limit in DROPPING if (text := _tighter(hub, edge, limit))]
    if edge.get("allow_msg_ttl") and not hub.get("allow_msg_ttl"):
        found.append("allow_msg_ttl is off at the hub, where removals and heartbeats never expire")
    return ", ".join(found)


def _tighter(hub: Mapping[str, Any], edge: Mapping[str, Any], limit: str) -> str:
    here, there = (int(each.get(limit, -1)) for each in (hub, edge))
    if here <= 0 or 0 < there <= here:  # JetStream says 0 or -1 for a limit that there is not
        return ""
    shown = [f"{each / _NS:g} s" if limit == "max_age" else str(each) for each in (here, there)]
    return f"{limit} is {shown[0]} at the hub, {shown[1] if there > 0 else 'unlimited'} at the edge"


async def ensure(session: Session, edge: str) -> None:
    """Put back the copies of an edge that an interrupted cycle has left out."""
    for stream in STREAMS:
        await _update(session, stream, edge, is_cycle=False)


async def cycle(session: Session, edge: str, stream: str) -> None:
    """Have a copy go on at once, where it was; the copies of other edges go on meanwhile."""
    await _update(session, stream, edge, is_cycle=True)


async def _update(session: Session, stream: str, edge: str, *, is_cycle: bool) -> None:
    async with _updating:  # one update holds the copies of all edges
        config = (await jetstream.stream_info(session, stream)).config
        found: list[dict[str, Any]] = config.get("sources") or []
        others = [each for each in found if edge_of(each) != edge]
        if is_cycle and len(others) < len(found):
            await jetstream.update_stream(session, stream, {**config, "sources": others})
        if is_cycle or len(others) == len(found):
            whole = [*others, source_of(stream, SIGNALS[stream], edge)]
            await jetstream.update_stream(session, stream, {**config, "sources": whole})


async def compare(bus: Bus, edge: str) -> Difference:
    """The entities that only one side has.

    What its collector does not attest in full now is not gone: it may not be there again yet.

    Raises:
        BusTimeoutError: the edge does not answer.
    """
    session = await bus.session()
    stream, filters = NAME_BY_SIGNAL["entity"], [filter_of("entity", edge)]
    there = await _ask(subject_counts(session, stream, filters, prefix=api_prefix_of(edge)), edge)
    here = await subject_counts(session, stream, filters)
    only_here = sorted(here.keys() - there.keys())
    attested = await _attested(bus, edge) if only_here else frozenset()
    known = {subject: await _known(session, subject) for subject in only_here}
    return Difference(
        tuple(subject for subject, found in known.items() if found is not None and found[0].source in attested),
        tuple(subject for subject, found in known.items() if found is not None and found[0].source not in attested),
        tuple(sorted(there.keys() - here.keys())),
    )


async def _attested(bus: Bus, edge: str) -> frozenset[str]:
    """The sources of an edge whose collectors attest everything now."""
    view = StateView(bus, META, NAME_BY_SIGNAL["meta"], [filter_of("meta", edge)])
    await view.load()
    beats = [row.message for row in view.rows.values() if isinstance(row.message, Heartbeat)]
    return frozenset(each.source for each in beats if each.source and not each.unattested)


async def _known(session: Session, subject: str) -> tuple[Entity, int] | None:
    """What the hub holds of a subject, and its sequence; None for a removal, and for what cannot be read."""
    found = await jetstream.last_message(session, NAME_BY_SIGNAL["entity"], subject)
    if found is None or found.marker:
        return None
    try:
        entity = ENTITY.decode(found.payload, subject=subject)
    except MalformedMessageError:
        return None
    return None if entity.is_removal else (entity, found.seq)


async def remove(session: Session, gone: Sequence[str]) -> int:
    """Remove at the hub what its edge no longer has, and return how many; each only as long as no message replaces it.

    Raises:
        BusError: the server refuses it.
    """
    return sum([await _remove(session, subject) for subject in gone])


async def _remove(session: Session, subject: str) -> bool:
    if (found := await _known(session, subject)) is None:
        return False
    known, seq = found
    text = f"{known.ref} is gone: {GONE}"
    removal = Entity(text=text, ref=known.ref, source=known.source, uid=known.uid, op=REMOVE, reason=GONE)
    headers = {EXPECTED_SEQUENCE: str(seq), TTL: f"{REMOVAL_TTL_S}s"}
    answer = await session.request(subject, encode(removal), headers=headers)
    fault = msgspec.json.decode(answer.data, type=_Answer).error
    if fault is not None and fault.err_code not in WRONG_SEQUENCE_CODES:
        raise BusError(f"{subject} is not removed: {fault.description}", code=fault.err_code)
    return fault is None


class _Answer(msgspec.Struct):
    error: ApiFault | None = None


async def _ask(request: Any, edge: str) -> Any:
    try:
        async with asyncio.timeout(ANSWER_S):
            return await request
    except TimeoutError:
        raise BusTimeoutError(f"expected an answer of edge {edge} within {ANSWER_S:g} s, found none") from None
    except BusError as error:
        if error.code:
            raise
        raise BusTimeoutError(f"edge {edge} is not connected") from error
