import pytest

from kgents_collector_docker.answers import EngineEvent
from kgents_collector_docker.mapping.event import event
from kgents_collector_docker.source.repeats import Repeats
from kgents_shared.contract.codec import encode
from support.docker_answers import make_event, make_inventory, make_scope


@pytest.mark.parametrize(
    ("found", "text", "reason", "severity"),
    [
        (make_event("container", "die", name="web", exit_code="3", project="shop"),
         "container shop/web ended with exit code 3.", "Died", "warning"),
        (make_event("container", "die", name="web", exit_code="0"),
         "container web ended with exit code 0.", "Died", "info"),
        (make_event("container", "oom", name="web"),
         "container web ran out of memory: the kernel killed a process of it.", "OOM", "error"),
        (make_event("container", "kill", name="web", signal="15"),
         "container web was sent signal 15.", "Killed", "info"),
        (make_event("container", "health_status: unhealthy", name="web"),
         "container web is unhealthy by its health check.", "HealthUnhealthy", "warning"),
        (make_event("container", "rename", name="new"),
         "container new was renamed, it was web before.", "Renamed", "info"),
        (make_event("container", "rename", "other", name="new"), "container new was renamed.", "Renamed", "info"),
        (make_event("network", "connect", name="blue", container="web-id"),
         "network blue was connected to container web.", "NetworkConnected", "info"),
        (make_event("container", "remove", name="web"), "container web was removed.", "Removed", "info"),
        (make_event("volume", "remove", "", name="data"), "volume data was removed.", "VolumeRemoved", "info"),
        (make_event("volume", "destroy", "data"), "volume data was removed.", "VolumeRemoved", "info"),
    ],
)  # fmt: skip
def test_an_engine_event_becomes_a_sentence(found: EngineEvent, text: str, reason: str, severity: str) -> None:
    reported = event(found, make_scope(), {"web-id": make_scope().container_ref("web", "")})
    assert reported is not None
    assert (reported.text, reported.reason, reported.severity) == (text, reason, severity)


def test_a_named_engine_is_in_front_of_the_names_in_a_sentence() -> None:
    scope = make_scope(engine="prod")
    containers = {"web-id": scope.container_ref("web", "shop")}
    connected = event(make_event("network", "connect", name="blue", container="web-id"), scope, containers)
    assert connected is not None
    assert connected.text == "network prod/blue was connected to container prod/shop/prod/web."
    renamed = event(make_event("container", "rename", name="new", project="shop"), scope, containers)
    assert renamed is not None
    assert renamed.text == "container prod/shop/prod/new was renamed, it was prod/web before."
    removed = event(make_event("network", "disconnect", name="blue", container="gone"), scope, containers)
    assert removed is not None
    assert removed.text == "network prod/blue was disconnected from container prod/gone."


def test_a_label_that_is_called_like_a_part_of_an_event_gets_nowhere() -> None:
    found = make_event("container", "die", name="web", exit_code="canary", signal="canary", container="canary")
    reported = event(found, make_scope(), {})
    assert reported is not None
    assert reported.text == "container web ended with exit code unknown."
    assert b"canary" not in encode(reported)


@pytest.mark.parametrize(
    "found",
    [
        make_event("container", "exec_start: sh", name="web"),
        make_event("container", "health_status", name="web"),
        make_event("image", "tag"),
        make_event("daemon", "reload"),
        make_event("container", "start"),
    ],
)  # fmt: skip
def test_what_is_no_news_is_not_reported(found: EngineEvent) -> None:
    assert event(found, make_scope(), {}) is None


def test_what_an_engine_repeats_is_reported_once() -> None:
    repeats = Repeats()
    inventory = make_inventory()
    used = make_event("volume", "create", "data", time_ns=1)
    again = make_event("volume", "create", "data", time_ns=2)
    gone = make_event("volume", "destroy", "data", time_ns=3)
    recreated = make_event("volume", "create", "data", time_ns=4)
    start = [make_event("container", "start", time_ns=time_ns) for time_ns in (5, 5, 6)]
    reported = [each for each in (used, used, again, gone, recreated, *start) if repeats.is_news(each, inventory)]
    assert reported == [used, gone, recreated, start[0], start[2]]


def test_volumes_that_are_reported_by_name_alone_are_distinct() -> None:
    """As Podman does."""
    reported = [
        make_event("volume", action, "", name=name, time_ns=time_ns)
        for time_ns, (action, name) in enumerate(
            [("create", "a"), ("create", "b"), ("remove", "a"), ("create", "a"), ("create", "a"), ("remove", "b")]
        )
    ]
    repeats = Repeats()
    assert [each for each in reported if repeats.is_news(each, make_inventory())] == [*reported[:4], reported[5]]


def test_health_is_reported_when_it_changes_and_after_each_start() -> None:
    actions = ["start", "health_status: healthy", "health_status: healthy", "health_status: unhealthy", "die", "start",
               "health_status: unhealthy"]  # fmt: skip
    events = [make_event("container", action, time_ns=time_ns) for time_ns, action in enumerate(actions)]
    repeats = Repeats()
    reported = [each for each in events if repeats.is_news(each, make_inventory())]
    assert reported == [*events[:2], *events[3:]]
