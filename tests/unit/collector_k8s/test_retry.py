"""How long each kind of failure is waited for."""

import pytest

from kgents_shared.kubernetes.error import ApiError
from kgents_shared.kubernetes.probe import EVERY_S
from kgents_shared.kubernetes.retry import BACKOFF_MAX_S, RETRY_AFTER_MAX_S, Fault, Retries, fault_of


def pauses(error: ApiError, count: int) -> list[float]:
    retries = Retries()
    found = []
    for _ in range(count):
        retries.add(error)
        found.append(retries.pause_s(error))
    return found


@pytest.mark.parametrize("status", [403, 404])
def test_what_is_refused_is_requested_again_within_one_poll_however_long_it_was(status: int) -> None:
    assert max(pauses(ApiError(status, ""), 500)) <= EVERY_S


def test_the_first_retries_come_soon_and_grow() -> None:
    first, *_, last = pauses(ApiError(0, ""), 20)
    assert first < 1
    assert BACKOFF_MAX_S / 2 <= last <= BACKOFF_MAX_S


def test_a_server_may_ask_for_more_patience_but_not_for_any() -> None:
    assert pauses(ApiError(429, "", retry_after_s=60), 1) == [60]
    assert pauses(ApiError(429, "", retry_after_s=1e9), 1) == [RETRY_AFTER_MAX_S]


def test_failures_of_one_kind_do_not_count_for_another() -> None:
    retries = Retries()
    for _ in range(9):
        retries.add(ApiError(0, "connection refused"))
    refused = ApiError(403, "")
    retries.add(refused)
    assert retries[Fault.REFUSED] == 1
    assert fault_of(refused) is Fault.REFUSED
    assert retries.pause_s(refused) < 1
