"""A table and a collection are compared: what differs is found, and nothing else; what cannot be read is not known."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from kgents_collector_db.mapping.coherency.interval import wilson
from kgents_collector_db.mapping.coherency.sample import CoherencySample
from support.compared import COLUMNS, Stores, stores
from support.db_polls import Polled

RATES = ("coherency_rate", "coherency_rate_low", "coherency_rate_high", "coherency_ghost_rate")
ROUNDS = 60
RIGHT_MIN = 45
"""Of 60 intervals for the share of ghosts below 56 are right on average; fewer than 45 are in one of a million runs."""


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Stores]:
    async with stores(tmp_path) as both:
        yield both


def verdicts(polled: Polled) -> tuple[float | None, ...]:
    custom = polled.pulse.custom
    return custom["coherency_missing"], custom["coherency_stale"], custom["coherency_ghosts"]


def sampled(sample: CoherencySample) -> CoherencySample:
    assert sample.unreachable is None, sample.unreachable
    return sample


async def test_small_table_is_compared_whole_and_what_differs_is_an_alert_until_it_agrees(both: Stores) -> None:
    await both.fill(200)
    async with both.polls(**COLUMNS) as polls:
        first = await polls.repeat(3)
        assert (first.phase, first.health.level, verdicts(first)) == (("healthy", ""), "healthy", (0, 0, 0))
        assert [first.pulse.custom[name] for name in RATES] == [1, 1, 1, 0]
        gone: dict[int | str, dict[str, Any]] = {key: both.vectors.pop(key) for key in range(1, 31)}
        await both.postgres.sql("update articles set revision = 2 where id > 195")
        both.vectors.update({key: {"revision": 1} for key in range(10_000_000, 10_000_030)})
        found = await polls.poll()
        assert (found.phase, verdicts(found)) == (("degraded", "rows without vector"), (30, 5, 30))
        assert [found.pulse.custom[name] for name in RATES] == [0.825, 0.825, 0.825, 0.15]
        assert {"KG-392", "KG-393"} <= set(found.checks)
        both.vectors.update(gone)
        both.vectors.update({key: {"revision": 2} for key in range(196, 201)})
        for key in range(10_000_000, 10_000_030):
            del both.vectors[key]
        healed = await polls.repeat(3)
    assert (healed.phase, healed.health.level, verdicts(healed)) == (("healthy", ""), "healthy", (0, 0, 0))
    assert first.entity_bytes == found.entity_bytes == healed.entity_bytes
    assert b"secret" not in polls.published_bytes
    assert b"10000029" not in polls.published_bytes


async def test_every_sort_of_key_is_found_in_both_directions(both: Stores) -> None:
    await both.fill(60, key="uuid", value="gen_random_uuid()")
    (first, *_, last) = await both.keys()
    del both.vectors[first]
    both.vectors["00000000-0000-0000-0000-000000000001"] = {}
    async with both.polls() as polls:
        assert verdicts(await polls.poll()) == (1, None, 1)
    for kind, value, index in (
        ("uuid", "gen_random_uuid()", "uuid"),
        ("text", """'a "key" $1 ' || n""", "keyword"),
        ("int", "n - 30", "integer"),
    ):
        await both.postgres.sql("drop table articles")
        await both.fill(60, key=kind, value=value)
        (first, *_, last) = keys = await both.keys()
        parts = {number: {"document": key} for number, key in enumerate([*keys, *keys])}
        both.qdrant.points["articles"] = {n: part for n, part in parts.items() if part["document"] != first}
        both.vectors[1_000] = {"document": [last, first]}
        both.vectors[1_001] = {"document": "ghost" if kind == "text" else 777 if kind == "int" else f"{0:032x}"}
        both.vectors[1_002] = {"document": None}
        both.qdrant.indexes["articles"] = {"document": index}
        async with both.polls(payload_key="document") as polls:
            polled = await polls.poll()
            assert verdicts(polled) == (0, None, 1), kind
            assert polled.pulse.custom["coherency_undecided"] == 2
            del both.vectors[1_000]
            assert verdicts(await polls.poll()) == (1, None, 1), kind


async def test_intervals_hold_the_truth_for_an_outage_in_one_block_of_a_table_with_uneven_pages(both: Stores) -> None:
    await both.fill(40_000)
    await both.postgres.sql("delete from articles where id < 20000 and id % 5 > 0; analyze articles")
    keys = await both.keys()
    both.qdrant.points["articles"] = {key: {} for key in keys if key > 10_000}
    both.vectors.update({key: {} for key in range(50_000, 51_000)})
    missing = sum(key not in both.vectors for key in keys) / len(keys)
    ghosts = 1_000 / len(both.vectors)
    assert 0.05 < missing < 0.1 > ghosts > 0.03
    right = [0, 0]
    async with aclosing(both.source(sample=100)) as source:
        for _ in range(ROUNDS):
            sample = sampled(await source.read(()))
            assert not sample.rows.is_census and 30 < sample.rows.judged <= 200  # noqa: PT018
            rows, points = (wilson(each.good, each.judged) for each in (sample.rows, sample.points))
            assert rows is not None and points is not None  # noqa: PT018
            right[0] += rows[0] <= 1 - missing <= rows[1]
            right[1] += points[0] <= 1 - ghosts <= points[1]
    assert min(right) >= RIGHT_MIN


async def test_no_write_that_is_on_its_way_counts(both: Stores) -> None:
    """Each round begins with writes of which only PostgreSQL knows; their vectors follow before the second reading."""
    await both.fill(300)
    following: list[tuple[int, int | None]] = []

    async def write(number: int) -> None:
        new = 1_000 + number
        await both.postgres.sql("insert into articles (id, revision) values ($1, $2)", new, number)
        await both.postgres.sql("update articles set revision = $1 where id = 5", number)
        await both.postgres.sql("delete from articles where id = $1", number)
        following.extend([(new, number), (5, number), (number, None)])

    async def follow() -> None:
        for key, revision in following:
            if revision is None:
                both.vectors.pop(key, None)
            else:
                both.vectors[key] = {"revision": revision}
        following.clear()
        await both.postgres.sql("update articles set revision = revision + 1 where id = 6")  # its vector never follows

    both.clock.happens = follow
    async with both.polls(**COLUMNS) as polls:
        for number in range(10, 15):
            await write(number)
            polled = await polls.poll()
            assert verdicts(polled) == (0, 0, 0)
            assert polled.pulse.custom["coherency_rate"] == 1
            assert polled.health.level == "healthy"
        del both.vectors[50]
        assert verdicts(await polls.poll()) == (1, 0, 0)
    async with both.polls(**{**COLUMNS, "settle_s": 3_600.0}) as polls:
        await both.postgres.sql("update articles set updated_at = now()")
        del both.vectors[51]
        unsettled = await polls.poll()
    assert [unsettled.pulse.custom[name] for name in RATES[:3]] == [None, None, None]
    assert verdicts(unsettled) == (None, None, 0)
    assert unsettled.phase == ("degraded", "nothing judged")
    assert ["settle_s" in each for each in unsettled.facts.faults] == [True]


async def test_row_that_is_marked_as_deleted_counts_as_not_there(both: Stores) -> None:
    await both.fill(3_000)
    for key in range(1, 16):
        del both.vectors[key]
    for kind, unmarked, marked in (("boolean", "false", "true"), ("timestamptz", "null", "now()")):
        await both.postgres.sql(
            f"alter table articles add column gone {kind} default {unmarked}; analyze articles; "  # noqa: S608 - our own
            f"update articles set gone = {marked} where id <= 20; grant select (gone) on articles to kgents"
        )
        async with both.polls(deleted="gone", sample=5_000) as polls:
            whole = await polls.poll()
        assert (verdicts(whole), whole.pulse.custom["coherency_rows"]) == ((0, None, 5), 2_980)
        async with both.polls(deleted="gone", sample=10) as polls:
            part = await polls.poll()
        assert (part.pulse.custom["coherency_missing"], part.pulse.custom["coherency_rows"]) == (0, None)
        await both.postgres.sql("alter table articles drop column gone")
    async with both.polls(sample=5_000) as polls:
        assert verdicts(await polls.poll()) == (15, None, 0)


async def test_row_without_a_key_is_not_judged(both: Stores) -> None:
    await both.fill(60)
    await both.postgres.sql(
        "alter table articles add column slug text unique; update articles set slug = 's' || id where id > 20; "
        "grant select (slug) on articles to kgents"
    )
    both.qdrant.points["articles"] = {key: {"slug": f"s{key}"} for key in range(22, 61)}
    both.vectors.update({100: {"slug": None}, 101: {}})
    both.qdrant.indexes["articles"] = {"slug": "keyword"}
    async with both.polls(key="slug", payload_key="slug") as polls:
        polled = await polls.poll()
    assert (verdicts(polled), polled.pulse.custom["coherency_undecided"]) == ((1, None, 0), 22)


async def test_store_that_cannot_be_read_is_not_known_and_never_a_verdict(both: Stores) -> None:
    await both.fill(100)
    async with both.polls(sample=10) as polls:
        assert (await polls.poll()).sample.unreachable is None
        await both.qdrant.stop()
        unknown = await polls.poll()
        assert_unknown(unknown, "refused")
        await both.qdrant.start()
        both.qdrant.statuses["/collections/articles/points/query"] = 500
        assert_unknown(await polls.poll(), "errors")
        both.qdrant.statuses.clear()
        both.qdrant.minor = 10
        assert "1.11" in assert_unknown(await polls.poll(), "unreadable")
        both.qdrant.minor = 19
        # What differs is looked at again, and Qdrant goes away before that. Only here: a sample may find it or not.
        gone = both.vectors.pop(1)
        both.clock.happens = both.qdrant.stop
        async with both.polls() as whole:
            assert_unknown(await whole.poll(), "refused")
        both.vectors[1] = gone
        both.clock.happens = None
        await both.qdrant.start()
        await both.postgres.sql("revoke select on articles from kgents; revoke select (id) on articles from kgents")
        advice = assert_unknown(await polls.poll(), "missing privilege").partition("try: ")[2]
        await both.postgres.sql(advice)
        assert (await polls.poll()).sample.unreachable is None
        locking = await both.postgres.connect()
        await locking.execute("begin; lock table articles in access exclusive mode")
        assert "exclusive lock" in assert_unknown(await polls.poll(), "unreadable")
        await locking.execute("rollback")
        await locking.close()
        assert (await polls.poll()).sample.unreachable is None
        await both.postgres.sql("alter table articles enable row level security")
        assert "row-level security" in assert_unknown(await polls.poll(), "unreadable")
        await both.postgres.sql("alter table articles disable row level security")
        both.postgres.kill()
        assert_unknown(await polls.poll(), "refused")


def assert_unknown(polled: Polled, cause: str) -> str:
    """Returns why."""
    assert polled.phase == ("degraded", cause)
    assert {value for name, value in polled.pulse.custom.items() if not name.startswith("collector_")} == {None}
    assert polled.entity.status == "unknown"
    assert polled.checks == [] or set(polled.checks) <= {"KG-005", "KG-006"}, polled.checks
    (unread,) = polled.facts.unread
    return unread.reason


async def test_what_cannot_be_compared_is_named(both: Stores) -> None:
    await both.fill(20)
    for change, settings, why in (
        ("select 1", {"payload_key": "document"}, "payload index"),
        ("select 1", {"collection": "others"}, 'a collection "others"'),
        ("select 1", {"revision": "body", "payload_revision": "revision"}, "text"),
        ("select 1", {"deleted": "body"}, "boolean"),
        ("select 1", {"database": "nowhere"}, "nowhere"),
        ("alter table articles alter id type text", {}, "payload_key"),
        ("alter table articles drop constraint articles_pkey", {}, "create one"),
        ("alter table articles alter id type numeric using id::numeric", {}, "numeric"),
        ("create table more () inherits (articles)", {}, "partitions"),
        ("drop table articles cascade", {}, "none of that name"),
    ):
        await both.postgres.sql(change)
        async with both.polls(**settings) as polls:
            sample = (await polls.poll()).sample
        assert why in sample.unreachable.text
    assert not any("points" in path for path in both.qdrant.seen)


async def test_hostile_names_are_only_names(both: Stores) -> None:
    name = """a"; drop table articles; -- $1 %s 'é"""
    quoted = '"' + name.replace('"', '""') + '"'
    await both.fill(20)
    await both.postgres.sql(
        f"create schema {quoted}; create table {quoted}.{quoted} ({quoted} int primary key, revision int); "  # noqa: S608 - quoted
        f"insert into {quoted}.{quoted} values (1, 1), (2, 1); grant usage on schema {quoted} to kgents; "
        f"grant select on {quoted}.{quoted} to kgents"
    )
    both.qdrant.points["articles"] = {1: {}}
    names = {"schema": name, "table": name, "key": name}
    async with both.polls(**names) as polls:
        polled = await polls.poll()
    assert verdicts(polled) == (1, None, 0)
    assert len(await both.keys()) == 20
