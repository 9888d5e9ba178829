"""Metrics that come in → figures in the pulses, and calls that others have counted → the counters of this process."""

from collections.abc import Iterable
from datetime import UTC
from pathlib import Path
from typing import Final

import structlog
from msgspec import structs

from kgents_collector_otel.config import Config
from kgents_collector_otel.mapping import metric_wire, remote_write
from kgents_collector_otel.mapping.apps import Apps
from kgents_collector_otel.mapping.calls import Called
from kgents_collector_otel.mapping.edge import App, Edge
from kgents_collector_otel.mapping.edge_rules import EDGE_RULES, EdgeRule, decode
from kgents_collector_otel.mapping.facts import SOURCE
from kgents_collector_otel.mapping.figures import Measured
from kgents_collector_otel.mapping.metric import Metrics, Rejected
from kgents_collector_otel.mapping.sampling import KNOWN
from kgents_collector_otel.mapping.scraped import Scraped
from kgents_collector_otel.source.admission import MalformedRequestError, Outcome
from kgents_collector_otel.source.prometheus import asking
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.pulse import Pulse, TrafficPulse
from kgents_shared.contract.unread import Unread
from kgents_shared.runtime.clock import Clock, unix_ns

_log = structlog.get_logger(__name__)

SHOWN_S: Final = 120.0
"""For how long a fault is shown that was seen once: senders of metrics come once a minute."""


class Measurements:
    """What senders of metrics and Prometheus measure."""

    def __init__(self, config: Config, cluster: str, apps: Apps, clock: Clock) -> None:
        self.metrics = Metrics(cluster)
        self.scraped = Scraped(cluster, edge_rules(config))
        self._wanted = frozenset(self.scraped.metrics)
        self._natives = 0  # histograms that a rule would read, if they had buckets of their own
        self._config = config
        self._apps = apps
        self._clock = clock
        self._faults: list[str] = []  # of the last round of queries
        self._seen: dict[str, tuple[int, float]] = {}  # fault → how often, and when it last grew
        self._scraped_apps: dict[Ref, int] = {}  # → when Prometheus last had something of it

    async def take(self, body: bytes) -> Outcome:
        """Take one request of metrics.

        Raises:
            MalformedRequestError: it cannot be decoded.
        """
        try:
            request = metric_wire.parse(body)
        except MalformedMessageError as error:
            raise MalformedRequestError(str(error)) from None
        now = self._clock.now()
        time_slice = TimeSlice()
        rejected = Rejected()
        for each in request:
            self._apps.of(each.resource, unix_ns(now))
            for _ in self.metrics.take(each, now, rejected):
                await time_slice.checkpoint()
        return Outcome(rejected.points, rejected.reason)

    async def take_written(self, kind: str, body: bytes) -> Outcome:
        """Take one request of remote write, decompressed.

        Raises:
            MalformedRequestError: it cannot be decoded.
        """
        time_slice = TimeSlice()
        now = self._clock.now()
        try:
            for labels, samples, histograms in remote_write.parse(body, kind):
                self.scraped.take(labels, samples, now)
                if histograms and f"{labels.get('__name__', '')}_bucket" in self._wanted:
                    self._natives += histograms
                await time_slice.checkpoint()
        except MalformedMessageError as error:
            raise MalformedRequestError(str(error)) from None
        return Outcome()

    async def poll(self) -> None:
        """Query Prometheus, for as long as this runs."""
        config, endpoint = self._config.prometheus, self._config.prometheus_endpoint
        async with asking(endpoint, self._clock, timeout_s=config.timeout_s, token=config.token) as source:
            while True:
                started_s = self._clock.monotonic_s()
                read = await source.read(self.scraped.metrics)
                now, time_slice = self._clock.now(), TimeSlice()
                for labels, samples in read.series:
                    self.scraped.take(labels, samples, now)
                    await time_slice.checkpoint()
                if read.faults and not self._faults:
                    _log.warning("prometheus_unread", reasons=read.faults)
                self._faults = read.faults
                elapsed_s = self._clock.monotonic_s() - started_s
                await self._clock.sleep(max(0.0, config.interval_s - elapsed_s))

    async def count(self, seconds: float) -> None:
        """Count the calls of a window of some seconds that ends now, before the counters of the window are read.

        What an app's own spans have counted is not counted again.
        """
        now = self._clock.now()
        now_ns = unix_ns(now)
        time_slice = TimeSlice()
        for ended in (self.metrics.ended(now), self.scraped.ended(now)):
            for _ in ended:
                await time_slice.checkpoint()
        self._scraped_apps = {ref: at_ns for ref, at_ns in self._scraped_apps.items() if ref in self._apps.by_ref}
        found: list[Called] = []
        for each in self.scraped.calls.window(seconds):
            if each is not None:
                found.append(each)
            await time_slice.checkpoint()
        traced = _Traced(self._apps, [ref for each in found for ref in (each.caller, each.callee)])
        for called in found:
            self._count(called, traced, now_ns)
            await time_slice.checkpoint()

    def _count(self, called: Called, traced: "_Traced", now_ns: int) -> None:
        callee = self._named(called.callee, now_ns)
        caller = None if called.caller is None else self._named(called.caller, now_ns)
        if callee is None:
            return
        if called.served and callee not in traced.serving:
            inbound = callee.inbound
            inbound.n += called.served
            inbound.spans += round(called.served)
            inbound.errors += called.errors_server
            if called.server_ms is not None:
                inbound.latency.merge(called.server_ms)
        if caller is None or caller is callee:
            return
        edge = self._apps.edge(caller, called.kind, callee, now_ns)
        if (caller, called.kind, callee) not in traced.edges:
            _add(edge, called)

    def _named(self, ref: Ref, now_ns: int) -> App | None:
        found = self._apps.named(ref, now_ns)
        if found is not None:
            self._scraped_apps[found.ref] = now_ns
        return found

    async def added_to(self, facts: Facts) -> Facts:
        """The facts of a window with the figures that are measured, and what Prometheus did not give."""
        figures: dict[Ref, tuple[Measured, bool]] = {}
        time_slice = TimeSlice()
        for source in (self.scraped.measured(), self.metrics.measured()):
            for found in source:
                if found is not None:
                    figures[found[0].ref] = found
                await time_slice.checkpoint()
        at = self._clock.now().astimezone(UTC)
        pulses: list[Pulse] = []
        for pulse in facts.pulses:
            known = figures.pop(pulse.ref, None)
            pulses.append(pulse if known is None else _with(pulse, known[0]))
        pulses += [measured.pulse(SOURCE, at) for measured, is_new in figures.values() if is_new]
        return structs.replace(facts, pulses=pulses, unread=[*facts.unread, *self._unread()])

    def faults(self) -> list[str]:
        """What is wrong with what was received, in sentences, until it was right for two minutes."""
        now_s = self._clock.monotonic_s()
        metrics, scraped = self.metrics, self.scraped
        refused = metrics.table.refused + scraped.figures.refused + scraped.calls.table.refused
        totals = {
            "series of metrics are refused, as there are too many; those that are known go on": refused,
            "two senders write one delta series: give each a service.instance.id": metrics.counts["overlapping"],
            "native histograms are not read, so their latencies are not known: let Prometheus scrape classic ones, "
            "too (always_scrape_classic_histograms)": self._natives,
            **{f"series name neither side of a call: set {needs}": n for needs, n in scraped.nameless.items()},
        }
        for text, total in totals.items():
            if total != self._seen.get(text, (0, 0.0))[0]:
                self._seen[text] = total, now_s
        return [*self._faults, *(text for text, (_, at_s) in self._seen.items() if now_s - at_s < SHOWN_S)]

    def _unread(self) -> Iterable[Unread]:
        """Apps of which only Prometheus knows, while it does not answer."""
        if not self._faults:
            return
        for ref, seen_ns in self._scraped_apps.items():
            app = self._apps.by_ref.get(ref)
            if app is not None and app.seen_ns <= seen_ns:  # nothing else has sent anything of it since
                yield Unread(kind=ref.kind, namespace=ref.namespace, name=ref.name, reason=self._faults[0])


class _Traced:
    """What spans have counted in this window."""

    def __init__(self, apps: Apps, refs: Iterable[Ref | None]) -> None:
        found = {app for ref in refs if ref is not None and (app := apps.find(ref)) is not None}
        for app in found:
            apps.sum(app)
        self.serving = {app for app in found if app.inbound.spans}
        self.edges = {
            (app, kind, peer)
            for app in found
            for (kind, peer, is_inward), edge in app.edges.items()
            if edge.spans and not is_inward
        }


def _add(edge: Edge, called: Called) -> None:
    edge.n += called.n
    edge.spans += round(called.n)
    edge.errors_client += called.errors_client
    edge.errors_server += called.errors_server
    edge.weight = KNOWN
    if called.client_ms is not None:
        edge.client.merge(called.client_ms)
    if called.server_ms is not None:
        edge.server.merge(called.server_ms)


def _with(pulse: Pulse, measured: Measured) -> Pulse:
    """A pulse of traffic with figures that metrics give: these know every request, spans may be a sample of them."""
    if not isinstance(pulse, TrafficPulse):
        return pulse
    known = {name: value for name, value in measured.values.items() if value is not None or name not in pulse.custom}
    read_at = {name: at for name, at in measured.read_at.items() if name in known and at < pulse.timestamp}
    return structs.replace(pulse, custom={**pulse.custom, **known}, read_at=dict(sorted(read_at.items())))


def edge_rules(config: Config) -> list[EdgeRule]:
    """Ours that are chosen, and those of the operator's files.

    Raises:
        OSError: a file cannot be read.
        msgspec.ValidationError: it is no file of rules.
    """
    found = [rule for name in config.prometheus.rules for rule in EDGE_RULES.get(name, ())]
    for path in config.prometheus.files:
        found += decode(Path(path).read_text(encoding="utf-8"))
    return found
