"""How many requests one identity may make."""

from kgents_gateway.access import limits
from kgents_gateway.access.limits import Buckets


def test_a_burst_is_allowed_and_then_so_many_a_second() -> None:
    buckets = Buckets(per_s=2, burst=3)
    assert [buckets.take("a", 0) for _ in range(4)] == [0, 0, 0, 1]
    assert [buckets.take("a", 1) for _ in range(3)] == [0, 0, 1]
    assert [buckets.take("a", 1_000) for _ in range(4)] == [0, 0, 0, 1]


def test_one_identity_does_not_use_up_what_another_one_may() -> None:
    buckets = Buckets(per_s=1, burst=1)
    assert [buckets.take(each, 0) for each in ("a", "a", "b")] == [0, 1, 0]


def test_a_refused_request_says_when_one_is_allowed_again() -> None:
    buckets = Buckets(per_s=0.1, burst=1)
    buckets.take("a", 0)
    retry_s = buckets.take("a", 0)
    assert retry_s == 10
    assert buckets.take("a", retry_s - 1) > 0
    assert buckets.take("a", retry_s) == 0


def test_the_table_is_bounded_and_forgets_who_asked_least_lately() -> None:
    buckets = Buckets(per_s=1, burst=1)
    buckets.take("frequent", 0)
    for number in range(limits.IDENTITIES - 1):
        buckets.take(f"address {number}", 0)
    assert buckets.take("frequent", 0) == 1
    buckets.take("one more", 0)
    assert len(buckets) == limits.IDENTITIES
    assert buckets.take("frequent", 0) == 1
    assert buckets.take("address 0", 0) == 0
