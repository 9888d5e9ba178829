"""The Qdrant side of a comparison: random vectors of the collection, and the payloads of given keys."""

from collections.abc import Awaitable, Collection, Iterator, Sequence
from itertools import islice
from typing import Any, Final, TypeVar
from uuid import UUID

import httpx
from msgspec import Struct
from qdrant_client import AsyncQdrantClient, models

from kgents_collector_db.mapping.coherency.sample import Key, Point
from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.source import qdrant_failure
from kgents_collector_db.source.qdrant_failure import FAILURES
from kgents_collector_db.source.qdrant_key import ApiKey, revealed
from kgents_collector_db.source.qdrant_tls import trusted
from kgents_collector_db.targets.coherency import CoherencyTarget
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_shared.bus.deadline import Deadline

T = TypeVar("T")

KEYS_A_REQUEST: Final = 100
"""Few enough that a search for them takes milliseconds."""
POINTS_A_REQUEST: Final = 10_000
"""A row may have many vectors, one for each part of a text. More than a hundred for each row are refused."""
LIBRARY_S: Final = 3_600
"""The deadlines are ours."""
INT64_MAX: Final = 2**63 - 1

_INDEXES: Final = {
    "integer": ("integer",), "uuid": ("uuid", "keyword"), "text": ("keyword",),
}  # fmt: skip
"""Kind of a key → payload indexes by which it is found."""
_ALL_AGREE: Final = models.ReadConsistencyType.MAJORITY
"""Of replicas, most must hold the same: one that was down may lack what was written meanwhile."""


class UnusableError(Exception):
    """The collection cannot be compared as configured."""

    def __init__(self, text: str, cause: str = "unreadable") -> None:
        super().__init__(text)
        self.unreachable = Unreachable("degraded", cause, text)


class Sampled(Struct, frozen=True):
    """Sampled vectors."""

    points: list[Point]
    about: int | None
    """About how many there are."""
    is_census: bool
    """Whether these are all vectors."""


class Points:
    """One collection."""

    def __init__(self, target: CoherencyTarget, server: QdrantTarget) -> None:
        self._target = target
        self._server = server
        self._kind = "integer"
        self._key = ApiKey()
        self._client = AsyncQdrantClient(
            url=server.url,
            timeout=LIBRARY_S,
            check_compatibility=False,
            auth=self._key,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            trust_env=False,
            verify=trusted(server),
        )

    async def aclose(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def unreachable(self, error: BaseException) -> Unreachable:
        """Why a request failed."""
        if isinstance(error, UnusableError):
            return error.unreachable
        return await qdrant_failure.unreachable(error, self._server)

    async def describe(self, key_kind: str) -> int | None:
        """About how many vectors there are.

        Args:
            key_kind: of the table's key: `integer`, `uuid` or `text`.

        Raises:
            UnusableError: its points cannot be found by that key.
        """
        self._key.value = await revealed(self._server.api_key)
        self._kind = key_kind
        name, field = self._target.collection, self._target.payload_key
        try:
            found = await self._ask(self._client.get_collection(name))
        except FAILURES as error:
            if qdrant_failure.is_gone(error):
                where = self._server.address
                raise UnusableError(f'expected a collection "{name}" at {where}, found none; correct it') from None
            raise
        if field is None:
            if key_kind == "text":
                expected = "an integer or uuid as key, since the ids of points are"
                raise UnusableError(f"expected {expected}, found a text; name payload_key")
        else:
            index = found.payload_schema.get(field)
            kind = index.data_type.value if index is not None else "none"
            if kind not in _INDEXES[key_kind]:
                expected = f'a payload index "{_INDEXES[key_kind][0]}" of {field} in "{name}" for a key of that type'
                raise UnusableError(f"expected {expected}, found {kind}; create it: a filter would read every point")
        return found.points_count

    async def of_keys(self, keys: Collection[Key]) -> dict[Key, list[object]]:
        """The revisions in the payloads of these keys' points; a key without points is left out."""
        found: dict[Key, list[object]] = {}
        fields = [each for each in (self._target.payload_key, self._target.payload_revision) if each is not None]
        for chunk in _chunks(sorted(keys, key=str)):
            for key, payload in await self._records(chunk, fields):
                revision = payload.get(self._target.payload_revision) if self._target.payload_revision else None
                found.setdefault(key, []).append(revision)
        return found

    async def sample(self, most: int, about: int | None) -> Sampled:
        """Single vectors at random; all, if there are no more than `most`.

        Raises:
            UnusableError: the server is too old to draw at random.
        """
        field = self._target.payload_key
        try:
            answer = await self._ask(
                self._client.query_points(
                    self._target.collection,
                    query=models.SampleQuery(sample=models.Sample.RANDOM),
                    limit=most,
                    with_payload=[field] if field is not None else False,
                    with_vectors=False,
                    consistency=_ALL_AGREE,
                )
            )
        except FAILURES as error:
            if getattr(error, "status_code", None) in (400, 404, 422):
                text = f"expected Qdrant 1.11 or later at {self._server.address}, found that it cannot draw at random"
                raise UnusableError(f"{text}; upgrade it") from None
            raise
        points = [
            Point(_id(each.id), self._key_of(_id(each.id) if field is None else (each.payload or {}).get(field)))
            for each in answer.points
        ]
        is_census = False
        if about is not None and about <= most:
            count = await self._ask(self._client.count(self._target.collection, exact=True))
            is_census = count.count == len({each.id for each in points})
        return Sampled(points, about, is_census)

    async def present(self, ids: Collection[Key]) -> set[Key]:
        """Those of these points that exist now."""
        found: set[Key] = set()
        for chunk in _chunks(sorted(ids, key=str)):
            found |= {_id(each.id) for each in await self._retrieved(chunk, [])}
        return found

    async def _records(self, keys: Sequence[Key], fields: list[str]) -> Iterator[tuple[Key, dict[str, Any]]]:
        if self._target.payload_key is None:
            ids = [key for key in keys if isinstance(key, str) or key >= 0]  # an id is never negative
            return ((_id(each.id), each.payload or {}) for each in await self._retrieved(ids, fields))
        field = self._target.payload_key
        match = models.MatchAny(any=list(keys))  # type: ignore[arg-type]  # all are of one type
        records, more = await self._ask(
            self._client.scroll(
                self._target.collection,
                scroll_filter=models.Filter(must=[models.FieldCondition(key=field, match=match)]),
                limit=POINTS_A_REQUEST,
                with_payload=fields,
                with_vectors=False,
                consistency=_ALL_AGREE,
            )
        )
        if more is not None:
            most = POINTS_A_REQUEST // KEYS_A_REQUEST
            raise UnusableError(f"expected at most {most} vectors for a row, found more; compare another collection")
        asked = set(keys)
        payloads = (each.payload or {} for each in records)
        known = ((self._key_of(value), each) for each in payloads for value in _values(each.get(field)))
        return ((key, payload) for key, payload in known if key is not None and key in asked)

    async def _retrieved(self, ids: Sequence[Key], fields: list[str]) -> list[models.Record]:
        if not ids:
            return []
        return await self._ask(
            self._client.retrieve(
                self._target.collection,
                ids=list(ids),
                with_payload=fields or False,
                with_vectors=False,
                consistency=_ALL_AGREE,
            )
        )

    def _key_of(self, value: object) -> Key | None:
        """The value as a key of the table; None, if it can be none."""
        match self._kind, value:
            case "integer", int() if not isinstance(value, bool) and abs(value) <= INT64_MAX:
                return value
            case "uuid", str():
                try:
                    return str(UUID(value))
                except ValueError:
                    return None
            case "text", str() if "\0" not in value:
                return value
            case _:
                return None

    async def _ask(self, answer: Awaitable[T]) -> T:
        async with Deadline(self._server.timeout_s):
            return await answer


def _id(given: int | str | UUID) -> Key:
    return given if isinstance(given, int) else str(given)


def _values(value: object) -> Sequence[object]:
    """A field of a payload may hold a list, and is found by each of its values."""
    return value if isinstance(value, list) else [value]


def _chunks(keys: Sequence[T]) -> Iterator[Sequence[T]]:
    rest = iter(keys)
    while chunk := list(islice(rest, KEYS_A_REQUEST)):
        yield chunk
