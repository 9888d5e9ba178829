"""The bench of accuracy: what it reads of a labelled day, and what it counts as found and as false."""

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from accuracy import contenders, judge, report
from accuracy.contenders import Alarm, Judged
from accuracy.day import Call, Day, Minute, Use, read
from accuracy.messages import replay
from accuracy.replay import Fault, Replay
from kgents_health_scorer.checks import CATALOGUE

pytestmark = pytest.mark.unit

BEGIN = datetime(2022, 8, 22, 4, 0, tzinfo=UTC)
PODS = ("cart-5f-aa", "front-7c-bb")


def at(minutes: float) -> datetime:
    return BEGIN + timedelta(minutes=minutes)


def use(pod: str, *, cpu: float = 3.0, memory: float = 50.0) -> Use:
    return Use(pod, cpu, 30.0, memory, 100.0, 1.0)


def day(*faults: Fault, minutes: int = 60, busy: range = range(0)) -> Replay:
    """Two services at rest; `busy`: the minutes in which one of them uses all of its CPU."""
    rows = []
    for minute in range(minutes):
        uses = [use(PODS[0], cpu=30.0 if minute in busy else 3.0), use(PODS[1])]
        rows.append(Minute(at(minute), uses, [], None))
    return replay(Day(rows, list(faults)))


def fault(minute: float, service: str = "cart", kind: str = "cpu") -> Fault:
    return Fault(at(minute), kind, service)


def alarm(begin: float, end: float, *names: str) -> Alarm:
    return Alarm("KG-102", names or ("cart",), at(begin), at(end))


def written(folder: Path, name: str, *rows: dict[str, str]) -> None:
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)


def metric(time: str, cpu: str = "15") -> dict[str, str]:
    return {
        "Time": time,
        "TimeStamp": "1861140279",  # of another year, as in the real data
        "PodName": PODS[0],
        "CpuUsage(m)": cpu,
        "CpuUsageRate(%)": "50",
        "MemoryUsage(Mi)": "10",
        "MemoryUsageRate(%)": "20",
        "PodWorkload(Ops)": "9",
    }


def test_a_day_is_read_by_its_times_in_text(tmp_path: Path) -> None:
    when = "2022-08-22 04:01:19.607158889 +0000 UTC m=+0.113112869"
    written(tmp_path, f"{PODS[0]}_metric.csv", metric(when), metric(when.replace("04:01", "04:02"), cpu="nan"))
    for side, latency in (("source", "0.25"), ("destination", "")):
        written(tmp_path, f"{side}_50.csv", {"time": when, "timestamp": "1", "front_cart": latency})
    written(tmp_path, "front_service.csv", {"Time": when, "LatencyP50(s)": "0.5"})
    label = {
        "inject_time": "2022-08-22 04:02:07",
        "inject_timestamp": "1661149999",
        "inject_pod": PODS[0],
        "inject_type": "cpu",
    }
    (tmp_path / "2022-08-22-fault_list.json").write_text(json.dumps({"04": [label]}), encoding="utf-8")

    first = Minute(at(1), [Use(PODS[0], 15, 30, 10 * 2**20, 50 * 2**20, 9)], [Call("front", "cart", 0.25, None)], 0.5)
    second = Minute(at(2), [Use(PODS[0], None, None, 10 * 2**20, 50 * 2**20, 9)], [], None)
    assert read(tmp_path) == Day([first, second], [Fault(at(2) + timedelta(seconds=7), "cpu", "cart")])


def test_a_folder_without_a_day_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found 0"):
        read(tmp_path)


def test_a_fault_is_found_by_an_alert_that_names_its_service_in_time() -> None:
    faults = [fault(10), fault(20), fault(30), fault(40)]
    alarms = [alarm(12, 15), alarm(22, 24, "front"), alarm(36, 38), alarm(39, 50)]
    found = judge.outcome(day(*faults), Judged(alarms))
    assert found.recall["all"] == judge.Share(1, 4)
    assert found.delays_s["cpu"] == [120.0]
    assert found.missed == faults[1:]


def test_an_incident_is_true_if_one_of_its_alerts_names_a_service_with_a_fault() -> None:
    alarms = [alarm(11, 14, "front"), alarm(13, 16, "cart"), alarm(30, 33, "front")]
    found = judge.outcome(day(fault(10), fault(29), fault(48)), Judged(alarms))
    assert found.precision == judge.Share(1, 2)
    assert [each[0].begin for each in found.false] == [at(30)]


def test_what_begins_in_a_hole_of_the_labels_counts_in_the_first_precision_alone() -> None:
    faults = [fault(each) for each in (0, 8, 16, 48, 56)]
    found = judge.outcome(day(*faults), Judged([alarm(1, 3), alarm(36, 38)]))
    assert found.precision == judge.Share(1, 2)
    assert found.precision_outside_holes == judge.Share(1, 1)
    assert found.false_minutes == 0


def test_false_minutes_are_those_of_services_under_an_alert_while_no_fault_is_active() -> None:
    quiet = day(fault(10), fault(20), minutes=120)
    found = judge.outcome(quiet, Judged([alarm(12, 34, "front"), alarm(60, 70, "cart", "front")]))
    # 31, 32, 33 of the first; the second is in the time after the last fault that lasts 20 minutes, and partly beyond.
    assert found.false_minutes == 20
    assert found.minutes == 2 * (120 - 20)


def test_the_interval_is_that_of_wilson() -> None:
    low, high = judge.Share(54, 60).interval
    assert (round(low, 3), round(high, 3)) == (0.799, 0.953)
    assert judge.Share(0, 0).interval == (0.0, 1.0)


def test_the_mean_of_scores_does_not_find_a_starved_pod() -> None:
    starved = day(fault(20), busy=range(20, 26))
    assert contenders.average(starved).alarms == []
    exhausted = Day([Minute(at(m), [Use("cart-5f-aa", 100, 100, 100, 100, 1)], [], None) for m in range(5)], [])
    assert contenders.average(replay(exhausted)).alarms == [Alarm("average", ("cart",), at(0), at(4))]


def test_the_real_scorer_finds_it_in_the_replayed_messages() -> None:
    starved = day(fault(20), busy=range(20, 26))
    judged = contenders.scorer(starved, CATALOGUE)
    alarms = judged.alarms
    assert [(each.check, each.names, each.begin) for each in alarms] == [("KG-111", ("cart",), at(20))]
    assert at(27) < alarms[0].end < at(30)
    found = judge.outcome(starved, judged)
    assert found.origin == {"cpu": judge.Share(1, 1), "all": judge.Share(1, 1)}
    assert "1/1" in report.table({"scorer": found})
    assert report.details(found) == ""


def test_outcomes_of_several_days_add_up_and_a_complete_one_has_no_holes() -> None:
    faults, alarms = [fault(each) for each in (0, 8, 16, 48, 56)], [alarm(1, 3), alarm(36, 38)]
    complete = structs.replace(day(*faults), is_complete=True, look_alikes=[fault(34, kind="deploy")])
    one = judge.outcome(complete, Judged(alarms))
    assert one.precision_outside_holes == one.precision == judge.Share(1, 2)
    assert one.by_class == {"cpu": judge.Share(1, 1), "deploy": judge.Share(0, 1)}
    twice = judge.total([one, one])
    assert (twice.recall["cpu"], twice.precision) == (judge.Share(2, 10), judge.Share(2, 4))
    assert twice.by_class["deploy"] == judge.Share(0, 2)
    assert twice.delays_s["all"] == [60.0, 60.0]
    assert "deploy" in report.classes(twice)
