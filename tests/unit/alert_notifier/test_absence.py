"""While nothing is judged no alert begins: that itself is one, and neither a rollout nor an outage of NATS is."""

from datetime import timedelta

import pytest

from kgents_alert_notifier.grouping.absence import CHECK, Writer, is_about
from kgents_shared.contract.attestation import SCORER
from support.build import NOW
from support.grouping import Grouped


class Watched:
    """health-scorer, read every ten seconds; it stores that it is at work every 15."""

    def __init__(self, *, is_absent: bool = False) -> None:
        self.writer = Writer("test", SCORER, is_absent=is_absent)
        self.found: list[tuple[str, float]] = []

    def read(self, *seconds: float, last_s: float | None) -> "Watched":
        for now_s in seconds:
            last = NOW + timedelta(seconds=last_s) if last_s is not None else None
            alert = self.writer.judge(last, NOW + timedelta(seconds=now_s))
            if alert is not None:
                self.found.append((alert.state, now_s))
        return self


def every_ten(begin: int, end: int) -> range:
    return range(begin, end + 1, 10)


def test_a_service_that_is_away_for_two_minutes_is_an_alert_until_it_is_back() -> None:
    watched = Watched().read(*every_ten(0, 110), last_s=-5)
    assert watched.found == []
    watched.read(*every_ten(120, 300), last_s=-5)
    assert watched.found == [("firing", 130)]
    watched.read(310, 320, last_s=305)
    assert watched.found == [("firing", 130), ("resolved", 310)]


@pytest.mark.parametrize("pause_s", [31, 86_400])
def test_what_could_not_be_read_is_no_absence(pause_s: int) -> None:
    """NATS was away: the service could store nothing, and we read nothing."""
    watched = Watched().read(*every_ten(0, 100), last_s=-5)
    back = 100 + pause_s
    assert watched.read(*every_ten(back, back + 110), last_s=-5).found == []
    assert watched.read(back + 130, last_s=-5).found == [("firing", back + 130)]


def test_one_that_was_never_at_work_is_not_missed_and_nor_is_one_of_a_cluster_that_is_gone() -> None:
    assert Watched().read(*every_ten(0, 1_000), last_s=None).found == []
    gone = Watched(is_absent=True).read(0, last_s=-500).read(10, last_s=None)
    assert gone.found == [("firing", 0), ("resolved", 10)]


def test_a_restart_neither_ends_nor_doubles_the_incident() -> None:
    grouped = Grouped()
    writer = Writer("test", SCORER, is_absent=False)

    def watch(of: Writer, seconds: int, *, is_at_work: bool = False) -> None:
        for _ in range(seconds // 10):
            alert = of.judge(grouped.now if is_at_work else NOW, grouped.now)
            if alert is not None:
                grouped.reducer.on_alert(alert, of.subject, "KGENTS_META:1")
            grouped.after(10)

    watch(writer, 200)
    [opened] = grouped.open
    assert (opened.root.check, opened.severity, is_about(opened, SCORER)) == (CHECK, "critical", True)
    assert "no alert begins or ends" in opened.title
    grouped.restart()
    watch(Writer("test", SCORER, is_absent=True), 400)
    assert [each.id for each in grouped.open] == [opened.id]
    grouped.restart()
    watch(Writer("test", SCORER, is_absent=True), 300, is_at_work=True)
    assert [(each.id, each.state) for each in grouped.rows.values()] == [(opened.id, "resolved")]
    assert not is_about(grouped.rows[opened.id], SCORER)
