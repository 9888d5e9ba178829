"""Settings of a comparison: what names no target, and what goes together, is refused."""

import pytest

from kgents_collector_db.config import Config
from kgents_collector_db.targets.coherency import CoherencyTarget
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_shared.contract.section import InvalidSectionError

GIVEN = {"postgres": "orders", "qdrant": "vectors", "table": "articles", "collection": "articles"}


def test_comparison_is_of_two_targets_of_the_same_configuration() -> None:
    servers = {"postgres": {"orders": PostgresTarget()}, "qdrant": {"vectors": QdrantTarget()}}
    config = Config(**servers, coherency={"articles": CoherencyTarget(**GIVEN)})  # type: ignore[arg-type]
    assert set(config.servers()) == {"postgres", "pgbouncer", "redis", "qdrant"}
    with pytest.raises(InvalidSectionError, match=r"coherency\.articles\.qdrant.*a name under qdrant.*known: vectors"):
        Config(**servers, coherency={"articles": CoherencyTarget(**{**GIVEN, "qdrant": "vector"})})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"revision": "revision"}, "payload_revision beside it"),
        ({"payload_revision": "revision"}, "payload_revision beside it"),
        ({"confirm_after_s": 300.0}, "less than interval_s"),
    ],
)
def test_setting_that_needs_another_is_refused_without_it(more: dict[str, object], why: str) -> None:
    with pytest.raises(InvalidSectionError, match=why):
        CoherencyTarget(**GIVEN, **more)  # type: ignore[arg-type]
