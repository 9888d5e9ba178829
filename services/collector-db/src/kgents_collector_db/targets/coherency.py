"""Two stores to compare: settings → source/coherency."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from kgents_collector_db.targets.target import Target
from kgents_shared.contract.section import Fault

Identifier = Annotated[str, Meta(min_length=1, max_length=63)]
PayloadKey = Annotated[str, Meta(min_length=1, max_length=63, pattern="^[A-Za-z0-9_-]+$")]


class CoherencyTarget(Target, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A PostgreSQL table and a Qdrant collection that should hold the same keys. Both are only read."""

    interval_s: Annotated[float, Meta(ge=30, le=86_400)] = 300.0
    """Seconds from one round to the next, and from pulse to pulse: what is compared changes slowly, and each round
    costs both stores up to `sample` reads at random places."""

    postgres: str
    """The server of the table: a name under `postgres`. Its role needs SELECT on the columns named here."""

    qdrant: str
    """The server of the collection: a name under `qdrant`."""

    database: Identifier | None = None
    """The database of the table. null: the one that the PostgreSQL target logs in to."""

    schema: Identifier = "public"
    """The schema of the table."""

    table: Identifier
    """An ordinary table that holds a row for every vector of the collection; partitioned tables cannot be compared."""

    key: Identifier = "id"
    """Its column of the key: an integer, a uuid or a text, the first one of an index."""

    updated_at: Identifier | None = None
    """Its column with the time of the last change. With it, rows that are younger than `settle_s` are not judged."""

    revision: Identifier | None = None
    """Its column that grows with every change: an integer or a timestamp. null: what is stale is not known."""

    deleted: Identifier | None = None
    """Its column that marks a row as deleted: a boolean that is true, or a time that is set. Such a row counts as not
    there, so its vector as one without a row."""

    collection: Annotated[str, Meta(min_length=1, max_length=255)]
    """The Qdrant collection."""

    payload_key: PayloadKey | None = None
    """The field of the payload that holds the key, with a payload index. null: the id of the point is the key."""

    payload_revision: PayloadKey | None = None
    """The field of the payload that holds the row's `revision` as of when the vector was made."""

    sample: Annotated[int, Meta(ge=10, le=5_000)] = 1_000
    """About how many rows, and at most how many vectors, one round compares. 1,000 that all agree say that at least
    99.6 % do."""

    settle_s: Annotated[float, Meta(ge=0, le=86_400)] = 60.0
    """Seconds that the vector of a changed row may take to follow."""

    confirm_after_s: Annotated[float, Meta(gt=0, le=600)] = 30.0
    """Seconds after which what seems wrong is read again: only what is wrong in the same way twice counts."""

    def faults(self) -> Iterator[Fault]:
        if (self.revision is None) != (self.payload_revision is None):
            advice = "set both or none"
            yield Fault("revision", "payload_revision beside it", "one of them", advice, beside=("payload_revision",))
        if self.confirm_after_s >= self.interval_s:
            expected, found = "less than interval_s", f"{self.confirm_after_s:g}"
            yield Fault("confirm_after_s", expected, found, "try: 30", beside=("interval_s",))

    @property
    def address(self) -> str:
        return f"{self.postgres} and {self.qdrant}"
