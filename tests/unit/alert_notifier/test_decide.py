"""One step of a delivery at a time: what is written, sent, waited for."""

import pytest
from msgspec.structs import replace

from kgents_alert_notifier.delivery.decide import (
    DEADLINE_S,
    REQUEST_S,
    Desired,
    Own,
    Rest,
    Send,
    Step,
    Wait,
    Write,
    decide,
    searched,
    settled,
)
from kgents_alert_notifier.delivery.outcome import (
    Delivered,
    Found,
    InDoubt,
    NotFound,
    NotSearchable,
    NotSent,
    Refused,
)
from kgents_shared.contract.notice import Notice

NEW = Notice(text="", cluster="test", receiver="ops", incident="i")
OPEN, WORSE, OVER = Desired(1, "open"), Desired(2, "open"), Desired(3, "resolved")


def step(notice: Notice, desired: Desired, own: Own | None = None, *, now_s: float = 100.0) -> Step:
    return decide(notice, desired, own, found_s=100.0, now_s=now_s)


def test_an_intent_is_written_before_anything_is_sent() -> None:
    assert step(NEW, OPEN) == Write(replace(NEW, sending=1, tries=1), OPEN)


def test_its_own_intent_is_sent_until_a_request_could_outlast_the_deadline() -> None:
    own = Own(OPEN, 100.0 + DEADLINE_S)
    notice = replace(NEW, sending=1, tries=1)
    last_s = 100.0 + DEADLINE_S - REQUEST_S
    assert step(notice, OPEN, own, now_s=last_s) == Send(OPEN, own.deadline_s, may_repeat=False)
    late = step(notice, OPEN, own, now_s=last_s + 0.1)
    assert late == Write(replace(notice, sending=0, failure="late"))


def test_the_intent_of_another_is_waited_for_and_then_a_doubt() -> None:
    notice = replace(NEW, sending=1)
    assert step(notice, OPEN, now_s=100.0 + DEADLINE_S - 0.1) == Wait(100.0 + DEADLINE_S)
    assert step(notice, OPEN, now_s=100.0 + DEADLINE_S) == Write(
        replace(notice, sending=1, unconfirmed=1, doubts=1, tries=1, failure="taken over"), OPEN
    )


def test_what_is_over_and_was_never_sent_is_not_sent() -> None:
    assert step(NEW, OVER) == Rest()


@pytest.mark.parametrize("notice", [replace(NEW, delivered=1, delivered_state="open"), replace(NEW, unconfirmed=1)])
def test_what_may_know_of_the_opening_gets_the_end(notice: Notice) -> None:
    found = step(notice, OVER)
    assert isinstance(found, Write)
    assert found.notice.sending == 3


def test_who_knows_the_newest_gets_nothing_even_from_one_who_knows_less() -> None:
    assert step(replace(NEW, delivered=2), WORSE) == Rest()
    assert step(replace(NEW, delivered=2), OPEN) == Rest()
    assert step(replace(NEW, unconfirmed=2), OPEN) == Rest()


def test_a_doubt_stays_until_a_delivery_is_confirmed() -> None:
    doubted = settled(replace(NEW, sending=1), OPEN, InDoubt("timeout"))
    assert (doubted.unconfirmed, doubted.doubts, doubted.sending) == (1, 1, 0)
    limited = settled(replace(doubted, sending=2), WORSE, NotSent("429", 1.0))
    assert (limited.unconfirmed, limited.failure) == (1, "429")
    refused = settled(replace(doubted, sending=2), WORSE, Refused("404"))
    assert (refused.unconfirmed, refused.failure) == (1, "refused: 404")
    known = settled(replace(doubted, sending=2, handle={"ts": "1.0"}), WORSE, Delivered())
    assert (known.unconfirmed, known.delivered, known.delivered_state) == (0, 2, "open")
    assert (known.handle, known.failure, known.doubts) == ({"ts": "1.0"}, "", 1)


def test_a_search_settles_a_doubt_where_it_is_answered() -> None:
    doubted = replace(NEW, unconfirmed=1)
    assert searched(doubted, NotFound()) == replace(doubted, unconfirmed=0)
    found = searched(doubted, Found({"ts": "1.0"}, 1))
    assert (found.delivered, found.unconfirmed, found.handle) == (1, 0, {"ts": "1.0"})
    assert searched(doubted, NotSearchable()) == doubted
