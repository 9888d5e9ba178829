"""The frame around every backend: when a database is left alone, what is due, and what is found on the stream."""

import pytest

from kgents_collector_db.breaker import Breaker
from kgents_collector_db.config import Config
from kgents_collector_db.mapping.discovery import Found, found
from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.mapping.seen import kept
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_collector_db.targets.redis import RedisTarget
from kgents_collector_db.watch import Schedule
from support.build import make_entity

pytestmark = pytest.mark.unit


def test_breaker_opens_after_failures_in_a_row_and_one_poll_decides_afterwards() -> None:
    breaker = Breaker(failures=3, pause_s=60)
    for now_s in (0, 10):
        breaker.note("frozen", now_s, jitter=0)
    breaker.note(None, 20, jitter=0)
    for now_s in (30, 40, 50):
        assert not breaker.is_open(now_s)
        breaker.note("frozen", now_s, jitter=0)
    assert breaker.is_open(50)
    assert breaker.is_open(109.9)
    assert not breaker.is_open(110)
    breaker.note("unreachable", 115, jitter=1)
    assert breaker.is_open(115 + 65)
    assert not breaker.is_open(115 + 66.1)
    breaker.note(None, 190, jitter=0)
    breaker.note("frozen", 200, jitter=0)
    assert not breaker.is_open(200)


@pytest.mark.parametrize("cause", ["refused", "starting"])
def test_breaker_never_opens_for_what_costs_the_database_nothing(cause: str) -> None:
    breaker = Breaker(failures=1, pause_s=60)
    for now_s in range(10):
        breaker.note(cause, now_s, jitter=0)
        assert not breaker.is_open(now_s)


def test_costly_tiers_are_due_at_once_and_then_by_their_interval() -> None:
    schedule = Schedule(PostgresTarget(medium_interval_s=60, slow_interval_s=600))
    assert schedule.due(6) == {"fast", "medium", "slow"}
    schedule.note(schedule.due(6), 6, succeeded=True)
    assert schedule.due(65) == {"fast"}
    assert schedule.due(66) == {"fast", "medium"}
    schedule.note(schedule.due(66), 66, succeeded=True)
    assert schedule.due(606) == {"fast", "medium", "slow"}


def test_costly_tier_that_fails_a_poll_waits_for_its_next_interval() -> None:
    schedule = Schedule(PostgresTarget(medium_interval_s=60, slow_interval_s=600))
    schedule.note(schedule.due(0), 0, succeeded=True)
    assert schedule.due(60) == {"fast", "medium"}
    schedule.note(schedule.due(60), 60, succeeded=False)
    assert schedule.due(70) == {"fast"}
    schedule.note(schedule.due(70), 70, succeeded=True)  # so the costly tier failed
    assert schedule.due(80) == {"fast"}
    assert schedule.due(130) == {"fast", "medium"}


def test_all_tiers_are_due_as_soon_as_a_server_is_back() -> None:
    schedule = Schedule(PostgresTarget(medium_interval_s=60, slow_interval_s=600))
    for now_s in (0, 10, 20):
        schedule.note(schedule.due(now_s), now_s, succeeded=False)
    assert schedule.due(30) == {"fast"}
    schedule.note(schedule.due(30), 30, succeeded=True)
    assert schedule.due(40) == {"fast", "medium", "slow"}


def test_one_failed_poll_changes_no_status_and_two_do() -> None:
    known, first = make_entity("db", status="running"), make_entity("db")
    unreachable = Unreachable("failing", "frozen", "…")
    assert kept(known, first, unreachable, is_confirmed=False) == known
    confirmed = kept(known, first, unreachable, is_confirmed=True)
    assert (confirmed.status, confirmed.reason, confirmed.uid) == ("failed", "frozen", known.uid)
    assert kept(None, first, unreachable, is_confirmed=False).status == "unknown"


@pytest.mark.parametrize(
    ("marks", "addresses", "aliases", "expected"),
    [
        ({"kgents.io/database": "postgres"}, ["10.0.0.1:80", "10.0.0.1:5432"], [], ("postgres", "10.0.0.1", 5432)),
        ({"kgents.io/database": "redis"}, ["10.0.0.1"], ["cache.shop.svc"], ("redis", "10.0.0.1", 6379)),
        ({"kgents.io/database": "redis"}, [], ["container-id:4f", "cache.shop.svc"], ("redis", "cache.shop.svc", 6379)),
        ({"kgents.io/database": "qdrant"}, ["[fd00::7]:6333"], [], ("qdrant", "fd00::7", 6333)),
        ({"kgents.io/database": "qdrant"}, ["fd00::7"], [], ("qdrant", "fd00::7", 6333)),
        (
            {"kgents.io/database": "postgres", "kgents.io/database-port": "5433"},
            ["10.0.0.1:5433"], [], ("postgres", "10.0.0.1", 5433),
        ),
    ],
)  # fmt: skip
def test_marked_entity_is_a_target(
    marks: dict[str, str], addresses: list[str], aliases: list[str], expected: tuple[str, str, int]
) -> None:
    backend, host, port = expected
    for place in ("labels", "annotations"):
        entity = make_entity("pg", addresses=addresses, aliases=aliases, **{place: marks})  # type: ignore[arg-type]
        assert found(entity) == Found(backend, "pg", "shop", host, port)


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ({"kgents.io/database": "oracle"}, "to be one of postgres"),
        ({"kgents.io/database": "postgres", "kgents.io/database-port": "http"}, "to be a port"),
        ({"kgents.io/database": "postgres", "kgents.io/database-port": "65536"}, "to be a port"),
        ({"kgents.io/database": "postgres"}, "found none"),
    ],
)
def test_unusable_mark_is_reported_without_quoting_it(marks: dict[str, str], words: str) -> None:
    problem = found(make_entity("pg", labels=marks))
    assert isinstance(problem, str)
    assert words in problem
    assert "oracle" not in problem


@pytest.mark.parametrize("address", ["someone@elsewhere:6333", "a/b:6333", "a]b:6333", "a b:6333"])
def test_address_with_characters_of_a_url_is_not_polled(address: str) -> None:
    problem = found(make_entity("vectors", labels={"kgents.io/database": "qdrant"}, addresses=[address]))
    assert isinstance(problem, str)
    assert "found none" in problem


def test_pod_without_an_address_yet_is_no_fault() -> None:
    marks = {"kgents.io/database": "postgres"}
    assert found(make_entity("pg", status="pending", labels=marks)) is None
    assert isinstance(found(make_entity("pg", status="running", labels=marks)), str)


def test_unmarked_or_ending_entities_are_no_targets() -> None:
    assert found(make_entity("web", addresses=["10.0.0.1:5432"])) is None
    marks = {"kgents.io/database": "postgres"}
    assert found(make_entity("pg", status="terminating", labels=marks, addresses=["10.0.0.1:5432"])) is None


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ({"postgres": {"a/b": PostgresTarget()}}, 'found "a/b"'),
        ({"postgres": {"": PostgresTarget()}}, 'found ""'),
        ({"postgres": {"a": PostgresTarget()}, "redis": {"a": RedisTarget()}}, "expected a target of its own name"),
    ],
)
def test_ambiguous_names_are_refused(targets: dict[str, dict[str, PostgresTarget]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Config(**targets)  # type: ignore[arg-type]


def test_one_name_in_two_namespaces_is_two_databases() -> None:
    Config(postgres={"a": PostgresTarget()}, redis={"a": RedisTarget(namespace="shop")})


def test_a_ca_that_would_not_be_used_is_refused() -> None:
    with pytest.raises(ValueError, match="expected tls: verify-full beside it, found prefer"):
        PostgresTarget(tls_ca_file="/ca.pem")
