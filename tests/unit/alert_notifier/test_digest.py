"""Many incidents as one message, and a receiver's own problem as an incident."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from kgents_alert_notifier.delivery import digest, problem
from kgents_alert_notifier.delivery.retry import FIRST_S, JITTER, MAX_S, backoff_s
from kgents_shared.contract.notice import Notice
from support.incident_facts import BEGAN, incident

MANY = [incident(number, severity="critical" if number == 7 else "warning") for number in range(1, 11)]


def test_few_are_notified_separately_and_of_many_the_worst_ones() -> None:
    separately, rest = digest.split(MANY, at_most=10, worst=2)
    assert (len(separately), rest) == (10, [])
    separately, rest = digest.split(MANY, at_most=9, worst=2)
    assert (len(separately), len(rest)) == (2, 8)
    assert separately[0].id == incident(7).id
    over = incident(11, state="resolved", affected_count=99)
    assert digest.worst_first([over, *MANY])[-1] == over, "no end delays what is open"


def test_a_digest_has_the_same_id_and_revisions_for_whoever_makes_it() -> None:
    entries = digest.entries_of(MANY)
    assert (
        digest.digest_id("ops", entries) == digest.digest_id("ops", entries[::-1]) != digest.digest_id("mail", entries)
    )
    notice = Notice(text="", cluster="test", receiver="ops", incident="d", entries=["a@3", "b@x", "@1"])
    assert digest.revisions(notice) == {"a": 3, "": 1}


def test_a_digest_is_over_when_the_last_of_it_is() -> None:
    over = [replace(each, state="resolved", changed_at=BEGAN + timedelta(hours=1)) for each in MANY]
    opened = digest.as_incident("d", MANY)
    assert (opened.state, opened.revision, opened.severity) == ("open", digest.OPEN, "critical")
    assert (opened.affected_count, opened.affected_by_kind) == (20, {"pod": 10, "deployment": 10})
    assert digest.as_incident("d", [*over[:-1], MANY[-1]]).state == "open"
    ended = digest.as_incident("d", over)
    assert (ended.state, ended.revision, ended.ended_at) == ("resolved", digest.OVER, BEGAN + timedelta(hours=1))


@pytest.mark.parametrize("receiver", ["ops", "mail:3f2a90c1", "a-b-c"])
def test_the_id_of_a_problem_names_its_receiver(receiver: str) -> None:
    id_ = problem.problem_id(receiver, BEGAN)
    assert problem.receiver_of(id_) == receiver
    assert problem.receiver_of("5c0ffee5a17c0de5") == ""
    opened = problem.as_incident("test", id_, "refused: HTTP 404", since=BEGAN, now=BEGAN)
    ended = problem.as_incident("test", id_, "", since=BEGAN, now=BEGAN)
    assert (opened.state, ended.state, ended.revision) == ("open", "resolved", 2)


def test_pauses_double_up_to_a_minute_and_differ() -> None:
    assert [backoff_s(count, 0.5) for count in (1, 2, 3, 20, 10_000)] == [2.0, 4.0, 8.0, MAX_S, MAX_S]
    assert backoff_s(1, 0.0) == FIRST_S * (1 - JITTER)
    assert backoff_s(1, 1.0) == FIRST_S * (1 + JITTER)
