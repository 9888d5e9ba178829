"""Requests of traces → the counters of this process, and each window of them → what is published."""

from collections.abc import Mapping
from datetime import UTC
from typing import Final

from kgents_collector_otel.config import Config
from kgents_collector_otel.mapping import apps, facts, traces, wire
from kgents_collector_otel.source.admission import MalformedRequestError, Outcome
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.pulse import TrafficPulse
from kgents_shared.runtime.clock import Clock, unix_ns

_NS: Final = 1_000_000_000


class Intake:
    """Counts spans, and gives the facts of each window."""

    def __init__(self, config: Config, cluster: str, published: Mapping[Ref, Entity], clock: Clock) -> None:
        self._clock = clock
        self._settings = facts.Settings(
            cluster, config.window_s, int(config.silent_after_s * _NS), int(config.idle_s * _NS)
        )
        limits = apps.Limits(
            apps=config.max_apps,
            edges_per_app=config.edges.per_app,
            edges=config.edges.total,
            edge_idle_ns=int(config.edges.idle_s * _NS),
            app_idle_ns=int(config.idle_s * _NS),
        )
        self.apps = apps.Apps(cluster, limits, config.sampling)
        self.traces = traces.Traces(
            self.apps,
            traces.Limits(config.max_waiting_spans, int(config.pair_wait_s * _NS), int(config.max_age_s * _NS)),
        )
        self._publication = facts.Publication(self._settings, published, unix_ns(clock.now()))

    async def take(self, body: bytes) -> Outcome:
        """Count the spans of one request.

        Raises:
            MalformedRequestError: it cannot be decoded.
        """
        try:
            request = wire.TracesRequest.FromString(body)
        except wire.DecodeError:
            raise MalformedRequestError("expected an ExportTraceServiceRequest") from None
        rejected = 0
        time_slice = TimeSlice()
        for count in self.traces.feed(request, unix_ns(self._clock.now())):
            rejected += count
            await time_slice.checkpoint()
        if not rejected:
            return Outcome()
        return Outcome(rejected, "spans without a valid id, or that end before they start, are not counted")

    @property
    def has_news(self) -> bool:
        """Whether an application or an edge is counted that is not published yet."""
        return self.apps.has_news

    async def close(self, seconds: float, *, is_first: bool) -> tuple[Facts, list[str]]:
        """End the window: its facts, and what is wrong with what was received, in sentences.

        Args:
            seconds: how long it was.
            is_first: whether it is the first since the start, in which calls are missing whose other side came before:
                nothing is published of it.
        """
        now = self._clock.now()
        now_ns = unix_ns(now)
        time_slice = TimeSlice()
        for _ in self.traces.expire(now_ns):
            await time_slice.checkpoint()
        windows = self.apps.close(now_ns)
        self.apps.forget(now_ns)
        if is_first:
            return Facts(list(self._publication.entities.values())), []
        pulses: list[TrafficPulse] = []
        for _ in self._publication.take(windows, self.apps.known, now_ns, seconds):
            await time_slice.checkpoint()
        for window in windows:
            if (pulse := facts.pulse(window, now.astimezone(UTC), self._settings, seconds)) is not None:
                pulses.append(pulse)
            await time_slice.checkpoint()
        for _ in self._publication.silent(self.apps.known, now_ns):
            await time_slice.checkpoint()
        self._publication.remove_gone(self.apps.known, now_ns)
        entities, events = list(self._publication.entities.values()), self._publication.events
        return Facts(entities, pulses, events), self._faults()

    def _faults(self) -> list[str]:
        faults = []
        if self.apps.hidden_apps:
            faults.append(f"more than {len(self.apps.by_ref):,} applications send: the further ones are not shown")
        hidden = [app for app in self.apps.by_ref.values() if app.hidden]
        if hidden:
            faults.append(f"{hidden[0].ref} calls {len(hidden[0].hidden):,} peers more than are shown")
        late = [app for app in self.apps.by_ref.values() if app.late]
        if late:
            faults.append(f"{late[0].ref} sends spans that are too old to count: is the clock of its host right?")
        for app in late:
            app.late = 0
        return faults
