"""The points of the stand-in for Qdrant: what its manual says that a server does when it is asked for them.

- A retrieval leaves out ids that no point has, without an error.
- A filter with `match: any` finds points whose field is one of the values, or a list that holds one; a text never
  matches a number. Without a payload index a real server scans for it; this one refuses (as its strict mode does).
- A random sample has no point twice, and never more than there are.
- What a payload selector does not name is left out.

That a real server draws evenly over its segments and shards, and what `consistency` changes, is not played.
"""

import random
from collections.abc import Mapping
from typing import Any

PointId = int | str
Payload = dict[str, Any]


class UnindexedError(Exception):
    """A filter over a field without an index."""


def retrieved(points: Mapping[PointId, Payload], body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`POST /collections/{name}/points`."""
    return [_record(each, points[each], body) for each in body["ids"] if each in points]


def scrolled(points: Mapping[PointId, Payload], indexes: Mapping[str, str], body: Mapping[str, Any]) -> dict[str, Any]:
    """`POST /collections/{name}/points/scroll`, with one condition."""
    (condition,) = body["filter"]["must"]
    field, values = condition["key"], condition["match"]["any"]
    if field not in indexes:
        raise UnindexedError(field)
    found = [each for each, payload in points.items() if _matches(payload.get(field), values)]
    found.sort(key=str)
    shown, more = found[: body["limit"]], found[body["limit"] :]
    return {
        "points": [_record(each, points[each], body) for each in shown],
        "next_page_offset": more[0] if more else None,
    }


def drawn(points: Mapping[PointId, Payload], body: Mapping[str, Any]) -> dict[str, Any]:
    """`POST /collections/{name}/points/query` with `sample: random`."""
    assert body["query"] == {"sample": "random"}
    chosen = random.sample(list(points), min(body["limit"], len(points)))
    return {"points": [{**_record(each, points[each], body), "version": 1, "score": 0.0} for each in chosen]}


def _matches(value: Any, values: list[Any]) -> bool:
    held = value if isinstance(value, list) else [value]
    return any(type(one) is type(each) and one == each for one in held for each in values)


def _record(point: PointId, payload: Payload, body: Mapping[str, Any]) -> dict[str, Any]:
    assert body.get("with_vector") is False, "vectors are large, and no comparison needs them"
    wanted = body.get("with_payload")
    assert isinstance(wanted, list) or wanted is False, "a payload holds contents, and a comparison needs its key only"
    shown = {field: payload[field] for field in wanted or () if field in payload}
    return {"id": point, "payload": shown or None}
