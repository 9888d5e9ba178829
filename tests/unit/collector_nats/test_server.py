from datetime import UTC, datetime

import pytest

from kgents_shared.contract.facts import Facts
from support.nats_samples import Raw, mapped, moved_on, named, pulse, sample, single


def after(raw: Raw, seconds: float = 10.0) -> tuple[Facts, Facts]:
    """The facts of the capture, and of what it became."""
    first = sample(single())
    before = mapped(first)
    return before, mapped(sample(moved_on(raw, seconds)), first, published=before)


def test_a_server_is_published_as_it_reports_itself() -> None:
    entity = named(mapped(sample(single())), "nats_server", "test")
    assert entity.status == "running"
    assert entity.uid == single()["varz"]["server_id"]
    assert entity.addresses == [f"127.0.0.1:{single()['varz']['port']}"]
    assert entity.attributes["service.version"] == "2.15.1"
    assert entity.attributes["kgents.nats.jetstream"] is True
    assert entity.created_at == datetime(2026, 11, 21, 9, 39, 8, 964312, tzinfo=UTC)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - what a server says
def test_a_server_that_listens_everywhere_is_where_its_monitoring_is(host: str) -> None:
    raw = single()
    raw["varz"]["host"] = host
    assert named(mapped(sample(raw)), "nats_server", "test").addresses == [f"127.0.0.1:{raw['varz']['port']}"]


def test_the_first_poll_has_no_rates() -> None:
    first = pulse(mapped(sample(single())), "nats_server", "test")
    assert "in_msgs_per_sec" not in first.custom
    assert first.network_rx_bytes is None
    assert first.custom["connections"] == 2


def test_rates_and_ratios() -> None:
    raw = single()
    raw["varz"].update(in_msgs=raw["varz"]["in_msgs"] + 50, in_bytes=raw["varz"]["in_bytes"] + 1000)
    raw["varz"]["slow_consumers"] = 1
    raw["varz"]["jetstream"]["config"].update(max_storage=28000, max_memory=-1)
    now = pulse(after(raw)[1], "nats_server", "test")
    assert now.custom["in_msgs_per_sec"] == pytest.approx(5)
    assert now.network_rx_bytes == pytest.approx(100)
    assert now.custom["slow_consumers_per_min"] == pytest.approx(6)
    assert now.custom["jetstream_storage_ratio"] == pytest.approx(0.1)
    assert "jetstream_memory_ratio" not in now.custom  # no limit, no ratio


def shows(**ends: str) -> Raw:
    """A server that shows certificates: at which place, until when."""
    raw = single()
    raw["varz"]["now"] = "2026-12-01T00:00:00Z"
    for place, end in ends.items():
        (raw["varz"] if place == "clients" else raw["varz"].setdefault(place, {}))["tls_cert_not_after"] = end
    return raw


@pytest.mark.parametrize(
    ("ends", "remaining_s"),
    [
        ({}, None),
        ({"clients": "0001-01-01T00:00:00Z"}, None),
        ({"clients": "2026-12-03T00:00:00Z"}, 2 * 86_400),
        ({"clients": "2026-12-03T00:00:00Z", "leaf": "2026-12-01T00:00:01Z", "cluster": "2027-12-01T00:00:00Z"}, 1),
        ({"websocket": "2026-11-30T00:00:00Z"}, 0),
    ],
)
def test_the_first_certificate_to_end_counts_and_one_that_has_ended_is_0(
    ends: dict[str, str], remaining_s: float | None
) -> None:
    facts = mapped(sample(shows(**ends)))
    assert pulse(facts, "nats_server", "test").custom.get("certificate_remaining_s") == remaining_s
    until = named(facts, "nats_server", "test").attributes.get("tls.server.not_after")
    assert until == (min(ends.values()).replace("Z", "+00:00") if remaining_s is not None else None)


def test_counters_that_fell_give_no_rate() -> None:
    raw = single()
    raw["varz"]["in_msgs"] = 0
    assert "in_msgs_per_sec" not in pulse(after(raw)[1], "nats_server", "test").custom


def test_a_restart_is_an_event_and_gives_no_rates() -> None:
    raw = single()
    raw["varz"].update(server_id="NEW", in_msgs=10**6)
    facts = after(raw)[1]
    assert [(event.reason, event.severity, event.id) for event in facts.events] == [
        ("ServerRestarted", "warning", "NEW:started")
    ]
    assert "in_msgs_per_sec" not in pulse(facts, "nats_server", "test").custom


def test_a_restart_while_we_were_away_is_an_event_too() -> None:
    raw = single()
    raw["varz"]["server_id"] = "NEW"
    facts = mapped(sample(raw), published=mapped(sample(single())))
    assert [event.reason for event in facts.events] == ["ServerRestarted"]


def test_slow_consumers_and_a_new_configuration_are_events() -> None:
    raw = single()
    raw["varz"].update(slow_consumers=2, config_load_time="2026-11-21T09:39:30Z")
    slow, config = after(raw)[1].events
    assert (slow.reason, slow.count, slow.ref.name) == ("SlowConsumer", 2, "test")
    assert (config.reason, config.severity) == ("ConfigReloaded", "info")


def test_one_that_is_not_ready_starts_or_leaves() -> None:
    raw = single()
    raw["healthz"] = {"status": "error", "error": "failed to be ready for connections"}
    assert named(mapped(sample(raw)), "nats_server", "test").reason == "Starting"
    leaving = named(after(raw)[1], "nats_server", "test")
    assert (leaving.status, leaving.reason) == ("terminating", "LameDuck")


def test_a_server_without_its_jetstream_cluster_says_so() -> None:
    raw = single()
    raw["healthz"] = {"status": "unavailable", "error": "JetStream is not current with the meta leader"}
    assert named(mapped(sample(raw)), "nats_server", "test").reason == "JetStreamUnavailable"
