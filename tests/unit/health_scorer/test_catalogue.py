"""Every check of the catalogue finds what it is for, and stays quiet otherwise."""

import re
from collections.abc import Mapping

import pytest
from msgspec import UNSET, structs

from kgents_health_scorer.checks import CATALOGUE, PROFILES
from kgents_health_scorer.checks.check import AgeCheck, RestartCheck, SampleCheck, SeriesCheck, StateCheck
from kgents_health_scorer.score import severity
from kgents_health_scorer.series import Track
from kgents_shared.contract.entity import Ref, Value
from kgents_shared.contract.pulse import DatabasePulse, Pulse, ResourcePulse
from support.check_cases import DISCARD_NEW, PULSES, SERIES, STATES, database
from support.health_inputs import START, Watch, entity, pulse

pytestmark = pytest.mark.unit

ALL = [*CATALOGUE, *(check for profile in PROFILES.values() for check in profile)]
BY_ID = {check.id: check for check in ALL}


def finds(check_id: str, case: int) -> bool:
    match BY_ID[check_id]:
        case StateCheck() as check:
            return check.find(STATES[check_id][case]) is not None
        case AgeCheck() as check:
            return severity(check, check.age_s(STATES[check_id][case])) > 0
        case RestartCheck() as check:
            return check.is_so(STATES[check_id][case])
        case SampleCheck() as check:
            value = check.value(PULSES[check_id][case])
            assert isinstance(value, int | float)
            return severity(check, value) > 0
        case SeriesCheck() as check:
            return unusual(check, SERIES[check_id][case])
        case other:
            raise AssertionError(f"{other.id} is of no sort")


def unusual(check: SeriesCheck, pulses: tuple[Pulse, Pulse]) -> bool:
    """Whether a check finds something in the second of two pulses, after an hour of the first."""
    usual, now = (next(iter(check.samples(each))) for each in pulses)
    track = Track()
    for _ in range(60):
        track.take(check, usual.value or 0.0, usual, structs.replace(pulses[0], interval_s=60.0), "")
    assert track.window.is_quiet
    track.take(check, now.value or 0.0, now, pulses[1], "")
    return not track.window.is_quiet


def test_every_check_has_a_failing_and_a_passing_case() -> None:
    assert STATES.keys() | PULSES.keys() | SERIES.keys() == BY_ID.keys()


@pytest.mark.parametrize("check_id", BY_ID)
def test_check_finds_what_it_is_for(check_id: str) -> None:
    assert finds(check_id, 0)


@pytest.mark.parametrize("check_id", BY_ID)
def test_check_stays_quiet_otherwise(check_id: str) -> None:
    assert not finds(check_id, 1)


def test_no_number_is_given_twice_and_every_text_is_one_sentence() -> None:
    assert len(BY_ID) == len(ALL)
    for check in ALL:
        assert re.fullmatch(r"KG-[0-9]\d\d", check.id)
        text = check.text.format(
            entity="pod shop/cart", value="96 %", threshold="95 %", peer="app a", usual="3 %", calls="3 calls"
        )
        assert text.endswith(".")
        assert "{" not in text
        assert check.why
        assert check.source


def test_a_standby_that_is_told_to_stay_behind_is_not_judged_for_it() -> None:
    check = BY_ID["KG-307"]
    assert isinstance(check, SampleCheck)
    assert check.value(database(replication={"lag_s": 3600.0, "apply_delay_s": 3600.0})) is UNSET
    assert check.value(database(replication={"lag_s": 3600.0, "apply_delay_s": 0.0})) == 3600


def test_a_server_that_starts_is_not_down() -> None:
    check = BY_ID["KG-300"]
    assert isinstance(check, SampleCheck)
    assert check.value(database(phase="starting", postgres_up=0)) is UNSET


SERVER = Ref("c1", "nats_server", "n1")
STREAM = Ref("c1", "nats_stream", "ORDERS")
CONSUMER = Ref("c1", "nats_consumer", "ORDERS.billing")
CLIENT = Ref("c1", "nats_client", "billing")


@pytest.mark.parametrize(
    ("ref", "custom", "attributes", "check_id", "text"),
    [
        (SERVER, {"connections_ratio": 0.93}, {}, "KG-201", "nats_server n1 uses 93 % of its allowed connections"),
        (STREAM, {"bytes_fill_ratio": 1.0}, DISCARD_NEW, "KG-211", "holds 100 % of its `max_bytes`"),
        (CONSUMER, {"pending_messages": 12_345}, {}, "KG-221", "has 12,345 messages pending"),
        (CLIENT, {"pending_bytes": 9 * 1024**2}, {}, "KG-231", "nats_client billing has 9.4 MB unread"),
    ],
)
def test_figure_of_a_collector_reaches_its_check_and_is_told_in_words(
    ref: Ref, custom: Mapping[str, float], attributes: Mapping[str, Value], check_id: str, text: str
) -> None:
    watch = Watch()
    watch.entity(entity(ref, attributes=attributes))
    for at_s in (0, 10):
        watch.pulse(pulse(at_s, ref, custom=custom))
    assert watch.checks(ref) == [check_id]
    assert text in watch.health(ref).text


@pytest.mark.parametrize("attributes", [{}, {"kgents.nats.discard": "old"}])
def test_full_stream_that_forgets_its_oldest_is_healthy(attributes: Mapping[str, Value]) -> None:
    watch = Watch()
    watch.entity(entity(STREAM, attributes=attributes))
    for at_s in (0, 10, 20):
        watch.pulse(pulse(at_s, STREAM, custom={"bytes_fill_ratio": 1.0, "messages_fill_ratio": 1.0}))
    assert watch.health(STREAM).level == "healthy"


def test_nats_figures_of_another_kind_mean_nothing() -> None:
    watch = Watch()
    watch.entity(entity())
    for at_s in (0, 10, 20):
        watch.pulse(pulse(at_s, custom={"pending_messages": 1e9}))
    assert watch.health().level == "healthy"


@pytest.mark.parametrize(
    "sample",
    [
        pulse(0),
        ResourcePulse(ref=entity().ref, source="k8s", timestamp=START, interval_s=1, memory_bytes=5),
        ResourcePulse(
            ref=entity().ref, source="k8s", timestamp=START, interval_s=1, memory_bytes=5, memory_limit_bytes=0
        ),
        DatabasePulse(ref=entity().ref, source="db", backend="redis", timestamp=START, interval_s=1, phase="healthy"),
    ],
)
def test_figure_that_is_left_out_does_not_apply(sample: ResourcePulse | DatabasePulse) -> None:
    assert [check.value(sample) for check in ALL if isinstance(check, SampleCheck)] == [UNSET] * len(PULSES)


def test_errors_of_hardly_any_requests_are_no_verdict() -> None:
    check = BY_ID["KG-103"]
    assert isinstance(check, SampleCheck)
    assert check.value(pulse(0, custom={"error_rate": 1.0, "requests_per_sec": 0.1})) is UNSET
    assert check.value(pulse(0, custom={"error_rate": 1.0, "requests_per_sec": 1.0})) == 1.0


@pytest.mark.parametrize("backend", ["postgres", "redis", "valkey", "qdrant"])
def test_figures_of_one_name_are_judged_by_the_checks_of_their_own_backend(backend: str) -> None:
    names = ("lag_s", "link_down_s", "slots_lost", "slot_safe_ratio", "slot_retained_ratio", "link_up",
             "master_link_down_s", "ack_age_s",
             "writable_primaries", "standby_missing_s", "slot_idle_s", "slot_xmin_ratio")  # fmt: skip
    pulse = structs.replace(database(replication=dict.fromkeys(names, 1.0)), backend=backend)
    asked = {check.id for check in ALL if isinstance(check, SampleCheck) and check.value(pulse) is not UNSET}
    own = {
        "postgres": {
            "KG-307", "KG-308", "KG-309", "KG-310", "KG-317", "KG-349", "KG-350", "KG-354", "KG-355",
        }, "redis": {"KG-335", "KG-336"},
        "valkey": {"KG-335", "KG-336"}, "qdrant": set(),
    }  # fmt: skip
    assert asked == own[backend]
