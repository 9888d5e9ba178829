"""The shop's recordings: what is planned, written and read, and the days that are made of them."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec import Raw, structs

from accuracy import recombined, recording
from accuracy.injected import EACH, KINDS, Injected, plan
from accuracy.recording import Recording, Window
from accuracy.replay import MINUTE, Replay
from accuracy.scheduled import Share, is_disturbed
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.topology import TopologyEntity
from support.build import NOW

pytestmark = pytest.mark.unit

CART = Ref("local", "app", "cart", "shop")
BOX = Ref("local", "container", "cart")


def entity(ref: Ref, uid: str = "") -> Raw:
    return Raw(encode(TopologyEntity(text="", ref=ref, uid=uid, status="running")))


def pulse(cpu: float) -> Raw:
    return Raw(encode(ResourcePulse(ref=BOX, source="otel", timestamp=NOW, interval_s=2, uid="old", cpu_percent=cpu)))


def recorded() -> Recording:
    """Windows of a load in which the CPU is the place in the recording; an episode of two kinds, of two windows."""
    well = [Window(10, [pulse(place)]) for place in range(30)]
    full = Injected("cpu", "cart", "set", "cpu", 1.0)
    fault = [Window(10, [pulse(98), pulse(99)], 0, full), Window(10, [pulse(99)], 0, full)]
    new = Injected("deploy", "cart", "replace")
    update = [Window(10, [pulse(50)], 1, new, [entity(BOX, "new")]), Window(10, [pulse(51)], 1, new)]
    return Recording(3, 1, [entity(CART), entity(BOX, "old")], [*well, *fault, *update])


def day(seed: int = 0) -> Replay:
    return recombined.replay(recorded(), seed)


def test_each_kind_is_planned_as_often_and_otherwise_for_each_seed() -> None:
    planned = [each for each, _ in plan(0)]
    assert {kind: sum(each.kind == kind for each in planned) for kind in KINDS} == dict.fromkeys(KINDS, EACH)
    assert planned == [each for each, _ in plan(0)]
    assert planned != [each for each, _ in plan(1)]


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    recording.write(recorded(), tmp_path / "shop.gz")
    assert recording.read(tmp_path / "shop.gz") == recorded()


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shop.gz").write_text("none")
    with pytest.raises(ValueError, match=r"expected a recording, found .*shop\.gz"):
        recording.read(tmp_path / "shop.gz")


def test_each_window_is_a_minute_and_the_last_pulse_of_one_counts() -> None:
    moments = day().moments
    assert {b.at - a.at for a, b in pairwise(moments)} == {MINUTE}
    assert all(len(each.pulses) == 1 for each in moments)
    assert {(each.pulses[0].timestamp, each.pulses[0].interval_s) for each in moments} == {
        (each.at, 60.0) for each in moments
    }


def test_what_was_injected_is_labelled_when_it_begins_and_apart_from_what_resembles_it() -> None:
    found = day()
    (fault,), (update,) = found.faults, found.look_alikes
    assert (fault.kind, fault.service, update.kind) == ("cpu", "cart", "deploy")
    by_time = {each.at: each.pulses[0] for each in found.moments}
    assert [getattr(by_time[fault.at + step * MINUTE], "cpu_percent", None) for step in range(2)] == [99, 99]
    assert abs(fault.at - update.at) >= timedelta(minutes=recombined.BETWEEN[0])
    assert found.services == ["cart"]


def test_a_replaced_container_is_another_one_from_then_on_and_every_other_change_is_undone() -> None:
    uids = [each.uid for moment in day().moments for each in moment.entities if each.ref == BOX]
    assert uids[0] == "new"
    assert set(uids) == {"new"}


def test_a_day_is_the_same_each_time_and_no_episode_is_part_of_two() -> None:
    whole = recorded()
    again = [structs.replace(each, episode=each.episode + 2) for each in whole.windows if each.injected is not None]
    more = structs.replace(whole, windows=[*whole.windows, *again[:2]])
    first, second = recombined.days(more)
    assert [first, second] == [*recombined.days(more)]
    assert [[each.kind for each in (*day.faults, *day.look_alikes)] for day in (first, second)] == [
        ["cpu", "deploy"],
        ["cpu"],
    ]


def test_what_was_recorded_while_the_machine_was_busy_is_left_out() -> None:
    busy = Injected("cpu", "cart", "set", "cpu", 0.9)
    calm, starved = Share(waited=0.02, used=0.88), Share(waited=0.3, used=0.88)
    assert not is_disturbed(busy, [calm, calm])
    assert is_disturbed(busy, [calm, starved])
    assert is_disturbed(busy, [Share(waited=0.02, used=0.5)])
    assert not is_disturbed(None, [Share(waited=0.02, used=0.5)])
