"""KGENTS_AUDIT → writes, the oldest first."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from fnmatch import fnmatchcase

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract import subjects
from kgents_shared.contract.audit import ANCHOR, Write, Writes
from kgents_shared.contract.codec import AUDIT
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.wire import Time
from kgents_shared.view.feed import log, start_of

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Stored(msgspec.Struct, frozen=True):
    """A record as it is stored."""

    subject: str
    at: Time
    """When its stream stored it, by the server's clock."""
    payload: bytes
    seq: int


class Entry(msgspec.Struct, frozen=True):
    """A write, and when it was first recorded."""

    at: Time
    write: Write


class Wanted(msgspec.Struct, frozen=True):
    """Which writes; `*` stands for any characters."""

    since: datetime = BEGINNING
    who: str = "*"
    action: str = "*"
    target: str = "*"
    cluster: str | None = None

    def is_met(self, entry: Entry) -> bool:
        """Whether it is one of them."""
        record = entry.write.record
        return (
            entry.at >= self.since
            and record.action != ANCHOR
            and self.cluster in (None, record.cluster)
            and fnmatchcase(record.by, self.who)
            and fnmatchcase(record.action, self.action)
            and fnmatchcase(record.target, self.target)
        )


def entries(records: Iterable[Stored]) -> list[Entry]:
    """The writes of some records, as far as they can be read."""
    writes, begun = Writes(), dict[str, datetime]()
    for each in records:
        try:
            record = AUDIT.decode(each.payload, subject=each.subject)
        except MalformedMessageError:
            continue
        if writes.take(record):
            begun[record.id] = each.at
    return [Entry(at, writes.of(id_)) for id_, at in begun.items()]


async def stored(
    bus: Bus, since: datetime = BEGINNING, cluster: str | None = None, *, actions: Sequence[str] = ()
) -> list[Stored]:
    """Every record that the stream holds since a time; of some actions only, if they are named.

    Raises:
        BusError: the server refused, or did not answer.
    """
    found: list[Stored] = []
    async for batch in _batches(bus, since, cluster, actions):
        found += map(as_stored, batch)
    return found


def as_stored(each: Delivery) -> Stored:
    """A record of the stream."""
    seconds, rest_ns = divmod(each.time_ns, 1_000_000_000)
    at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1_000)
    return Stored(each.subject, at, each.payload, each.seq)


async def _batches(
    bus: Bus, since: datetime, cluster: str | None, actions: Sequence[str]
) -> AsyncIterator[Sequence[Delivery]]:
    named = {} if cluster is None else {"cluster": cluster}
    filters = [subjects.pattern("audit", **named, action=each) for each in actions]
    filters = filters or [subjects.pattern("audit", **named)]
    start = await start_of(await bus.session(), "audit", filters, since=since)
    async with aclosing(log(bus, "audit", filters, start=start)) as batches:
        async for batch in batches:
            yield batch.deliveries
            if batch.caught_up:
                return


def records_of(found: Iterable[Entry]) -> Iterator[bytes]:
    """Each write as a JSON object."""
    for each in found:
        record = msgspec.to_builtins(each.write.record)
        del record["stage"]
        outcome = {"outcome": each.write.outcome, "why": each.write.why}
        yield msgspec.json.encode({"at": each.at, **record, **outcome})
