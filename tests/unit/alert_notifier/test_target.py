"""What a receiver should know of an incident, also one that the routes no longer name."""

import pytest

from kgents_alert_notifier.delivery.decide import Desired
from kgents_alert_notifier.delivery.target import target_of
from kgents_alert_notifier.routing.router import Wanted
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.notice import Notice
from support.incident_facts import acknowledged, incident, resolved

NEW = Notice(text="", cluster="test", receiver="mail", incident=incident().id)


def knows(state: str = "open", revision: int = 1, **more: object) -> Notice:
    given = {"delivered": revision, "delivered_state": state, **more}
    return Notice(text="", cluster="test", receiver="mail", incident=incident().id, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("known", [knows(), knows(unconfirmed=2), knows("", 0, unconfirmed=1), knows("", 0, sending=1)])
@pytest.mark.parametrize("now", [acknowledged(), resolved()])
def test_who_may_know_of_the_opening_hears_that_someone_takes_care_and_of_the_end(known: Notice, now: Incident) -> None:
    """As one that an escalation named: it names no one once it is acknowledged."""
    found = target_of(now, None, known)
    assert found is not None
    assert found.desired == Desired(now.revision, now.state)


@pytest.mark.parametrize(
    ("known", "now"),
    [
        (NEW, acknowledged()),
        (NEW, resolved()),
        (knows(), incident(revision=2)),  # it has grown, or is worse: that is for those that the routes name
        (knows("acknowledged", 2), acknowledged(revision=3)),
        (knows("acknowledged", 2), incident(revision=3)),
        (knows(via="digest"), resolved()),  # the digest ends it
    ],
)
def test_nothing_else_is_for_who_is_not_named(known: Notice, now: Incident) -> None:
    assert target_of(now, None, known) is None


def test_while_nothing_fires_no_one_is_notified_of_an_opening() -> None:
    calm = incident(calm_at=incident().opened_at)
    assert target_of(calm, Wanted(1), NEW) is None
    assert target_of(calm, Wanted(1), knows()) is not None


def test_who_is_named_hears_of_all_of_it() -> None:
    for now in (incident(revision=2), acknowledged(), resolved()):
        found = target_of(now, Wanted(now.revision, repeat=3, regroup_s=9.0), NEW)
        assert found is not None
        assert (found.desired, found.regroup_s) == (Desired(now.revision, now.state, 3), 9.0)
