"""Qdrant mapping: the metrics' text, two readings, and what an old server leaves out."""

from datetime import UTC, datetime

import pytest

from kgents_collector_db.mapping import qdrant
from kgents_collector_db.mapping.facts import Scope, Unreachable
from kgents_collector_db.mapping.qdrant.exposition import Line, buckets, growth, parse, percentile, value
from kgents_collector_db.mapping.qdrant.requests import is_search
from kgents_collector_db.mapping.qdrant.sample import Collection, QdrantSample, Raft, Replica, Shards
from kgents_collector_db.mapping.qdrant.state import dead, lost
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.facts import Facts
from support.vocabulary import declared

pytestmark = pytest.mark.unit

AT = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = """
# HELP rest_responses_total total number of responses
# TYPE rest_responses_total counter
rest_responses_total{method="POST",endpoint="/a \\"b\\" {c}, d",status="200"} 5
rest_responses_total{method="POST",endpoint="/e",status="500"} 2 1700000000
collections_total 3
bad{ 1
nan_gauge NaN
took_bucket{le="0.1"} 4
took_bucket{le="1"} 8
took_bucket{le="+Inf"} 10
"""
RAFT = Raft(
    peer=1, peers={1: "http://q1:6335/", 2: "http://q2:6335/"}, leader=1, role="Leader", term=1, commit=1, pending=0,
    is_voter=True, consensus="working", unreachable=0,
)  # fmt: skip


def observed(sample: QdrantSample, published: Facts | None = None, previous: QdrantSample | None = None) -> Facts:
    known = {each.ref: each for each in published.entities} if published is not None else {}
    return declared(qdrant.observe(previous, sample, Scope("c1", "vectors", "shop", 10.0, AT, known)))


def sample(*collections: Collection, raft: Raft | None = None, **more: object) -> QdrantSample:
    names = tuple(each.name for each in collections)
    return QdrantSample(
        at=AT,
        address="q1:6333",
        names=names,
        shown=names,
        collections=collections,
        raft=raft,
        **more,  # type: ignore[arg-type]
    )


def test_text_format_is_read_and_other_lines_are_skipped() -> None:
    lines = parse(TEXT)
    assert value(lines, "rest_responses_total") == 7
    assert value(lines, "collections_total") == 3
    assert value(lines, "nan_gauge") is None
    assert lines[0].labels == {"method": "POST", "endpoint": '/a "b" {c}, d', "status": "200"}
    assert buckets(lines, "took") == {0.1: 4, 1.0: 8}


def test_new_series_counts_from_zero_and_one_that_fell_means_a_restart() -> None:
    old, new = (Line("a", {"x": "1"}, 5),), (Line("a", {"x": "1"}, 7), Line("a", {"x": "2"}, 3))
    assert sum((growth(old, new, "a") or {}).values()) == 5
    assert growth(new, old, "a") is None
    assert growth(new, old, "b") == {}


def test_percentile_is_interpolated_and_ends_at_the_last_bound() -> None:
    now = {0.1: 50.0, 1.0: 90.0}
    assert percentile({}, now, 100, 0.5) == pytest.approx(0.1)
    assert percentile({}, now, 100, 0.7) == pytest.approx(0.55)
    assert percentile({}, now, 100, 0.99) == 1.0
    assert percentile({0.1: 50.0, 1.0: 50.0}, now, 40, 0.5) == pytest.approx(0.55)
    assert percentile({}, {}, 10, 0.5) is None
    assert percentile({}, now, 0, 0.5) is None


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("/collections/{collection_name}/points/search", True),
        ("/collections/{collection_name}/points/query/batch", True),
        ("/qdrant.Points/Recommend", True),
        ("/collections/{collection_name}/points", False),
        ("/collections/{collection_name}/points/scroll", False),
        ("", False),
    ],
)
def test_searches_are_distinguished_from_other_requests(endpoint: str, expected: bool) -> None:
    assert is_search(Line("rest_responses_total", {"endpoint": endpoint}, 1)) is expected


def test_replica_in_transfer_is_neither_dead_nor_active() -> None:
    copies = (Replica(0, 1, "Active"), Replica(0, 2, "Partial"), Replica(1, 2, "Recovery"), Replica(2, 1, "ActiveRead"))
    assert (dead({"docs": Shards(copies)}), lost({"docs": Shards(copies)})) == (0, 1)


def test_collections_belong_to_their_database_and_are_owned_by_it() -> None:
    facts = observed(sample(Collection(name="docs", status="green", points=1)))
    database, docs = facts.entities
    assert docs.ref == Ref("c1", "collection", "vectors/docs", "shop")
    assert [each.peer for each in database.connections if each.kind == "owns"] == [docs.ref]


def test_writes_that_start_optimizing_do_not_change_the_entity() -> None:
    green = observed(sample(Collection(name="docs", status="green", points=1, segments=2)))
    yellow = observed(sample(Collection(name="docs", status="yellow", points=9, segments=5)), green)
    assert [encode(each) for each in yellow.entities] == [encode(each) for each in green.entities]
    assert not yellow.events


def test_cluster_that_could_not_be_read_stays_as_it_was() -> None:
    docs = Collection(name="docs", status="green")
    seen = observed(sample(docs, raft=RAFT))
    again = observed(sample(docs), seen)
    assert [encode(each) for each in again.entities] == [encode(each) for each in seen.entities]


def test_list_that_could_not_be_read_removes_nothing() -> None:
    seen = observed(sample(Collection(name="docs", status="green")))
    starting = observed(QdrantSample(at=AT, address="q1:6333", ready=False), seen)
    assert [each.ref for each in starting.entities] == [each.ref for each in seen.entities]
    unreachable = QdrantSample(at=AT, address="q1:6333", unreachable=Unreachable("failing", "refused", "x"))
    assert [each.ref for each in observed(unreachable, seen, unreachable).entities] == [
        each.ref for each in seen.entities
    ]


@pytest.mark.parametrize("url", ["qdrant:6333", "ftp://qdrant", "http://", "http://user:pw@qdrant:6333"])
def test_unusable_url_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(ValueError, match="url: expected") as error:
        QdrantTarget(url=url)
    assert "pw" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "address"),
    [("http://q:6333", "q:6333"), ("https://q", "q:443"), ("http://q", "q:80"), ("http://[::1]:6333", "[::1]:6333")],
)
def test_address_of_a_target_is_host_and_port(url: str, address: str) -> None:
    assert QdrantTarget(url=url).address == address
