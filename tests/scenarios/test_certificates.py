"""The certificate of a NATS server near its end is an alert until a new one is read; one renewed in time is none."""

from datetime import datetime, timedelta
from typing import Final

import pytest
from msgspec import structs

from kgents_collector_nats.mapping import observe
from kgents_collector_nats.mapping.scope import SOURCE
from kgents_collector_nats.sample import Connz, Healthz, Jsz, Sample, Server, Varz
from support.nats_samples import CAPS
from support.story import Story, critical, warning
from support.story_world import CLUSTER, START, Step, World

pytestmark = pytest.mark.scenarios

NATS: Final = "nats_server n1"
POLL_S: Final = 5.0


class Observed:
    """One NATS server, and its part of collector-nats."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._last: Sample | None = None
        self._polled_s = float("-inf")
        self.until: datetime | None = None

    def poll(self) -> None:
        """Poll it every POLL_S."""
        world = self._world
        if world.now_s - self._polled_s < POLL_S:
            return
        self._polled_s = world.now_s
        varz = Varz("id", "n1", now=world.now, start=START, config_load_time=START)
        if self.until is not None:
            varz = structs.replace(varz, tls_cert_not_after=self.until)
        server = Server("http://n1:8222", varz, Connz("id", world.now), Jsz("id", world.now), Healthz())
        now = Sample(world.now, (server,), expected=1)
        facts = observe(
            self._last, now, cluster=CLUSTER, interval_s=POLL_S, caps=CAPS, heartbeats={},
            published=world.published_of(SOURCE, ""), traffic_since=None,
        )  # fmt: skip
        world.report(SOURCE, "", facts)
        self._last = now


def shows(**until: float) -> Step:
    """It shows a certificate that ends so long after the story's begin; without a time it shows none."""

    def step(world: World) -> None:
        world.source(f"{SOURCE}:n1", Observed, Observed).until = START + timedelta(**until) if until else None

    return step


def test_a_certificate_that_is_renewed_in_time_is_no_alert() -> None:
    story = Story()
    story.at("0s", shows(days=14, minutes=11))
    story.at("10m", shows(days=90))
    story.expect(until="30m")


def test_a_certificate_that_ends_soon_is_a_warning_until_a_new_one_is_read() -> None:
    story = Story()
    story.at("0s", shows(days=14, minutes=10))
    story.at("30m", shows(days=90))
    story.expect(warning("KG-206", NATS, "10m", "30m"), until="1h")


def test_a_certificate_that_has_ended_stays_critical_until_tls_is_off() -> None:
    story = Story()
    story.at("0s", shows(minutes=10))
    story.at("30m", shows())
    story.expect(critical("KG-206", NATS, "10s", "30m"), until="1h")
