"""Metrics and spans of a running service: metrics are served by `probes` for Prometheus, spans are sent over OTLP.

Nothing global is set: two services in one process (`kgents up`, tests) each have their own `Telemetry`. Only the
current span is ambient, as OpenTelemetry keeps it in a context variable; `inject` and `extract` carry it from one
service to the next in the headers of NATS messages.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import Tracer, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from kgents_shared.runtime.sections import TelemetryConfig
from kgents_shared.runtime.series import LastFigures, Series, Source

SHUTDOWN_S = 3.0
"""Seconds that `Telemetry.shutdown` may take: time for one healthy export, and far below the thirty seconds that
Kubernetes leaves a stopping pod, most of which belong to the service's own messages."""

_SCOPE = "kgents"
_W3C = TraceContextTextMapPropagator()


class Telemetry:
    """One service's instruments: create them from `meter` and `tracer` once at the start; call `shutdown` last.

    Metric names follow OpenTelemetry (`kgents.bus.published`, its unit given to the instrument); Prometheus sees
    them as `kgents_bus_published_total`.
    """

    meter: Meter
    tracer: Tracer

    def __init__(self, config: TelemetryConfig, *, service: str, version: str, instance: str) -> None:
        """Build the instruments of one instance of a service; the three names become the resource's attributes."""
        resource = Resource.create(
            {"service.name": service, "service.version": version, "service.instance.id": instance}
        )
        # A registry of our own: the default one is global, and a second Telemetry would collide with the first.
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._series = Series()
        self._registry.register(self._series)
        self.figures = LastFigures(config.figures, max_entities=config.figures_max, monotonic_s=time.monotonic)
        self._series.sources.append(self.figures)
        # One scope only, so its label would say the same on every series.
        reader = PrometheusMetricReader(scope_info_enabled=False, registry=self._registry)
        self._meters = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
        self._tracers = _tracer_provider(config, resource)
        self.meter = self._meters.get_meter(_SCOPE, version)
        self.tracer = self._tracers.get_tracer(_SCOPE, version)

    def gauge(self, name: str, unit: str, description: str, read: Callable[[], float | None]) -> None:
        """Show what `read` returns whenever metrics are read; None while it is not known."""
        self.meter.create_observable_gauge(name, [_observer(read)], unit=unit, description=description)

    def counter(self, name: str, unit: str, description: str, read: Callable[[], float | None]) -> None:
        """The same for a number that only grows, so that its rate has a meaning."""
        self.meter.create_observable_counter(name, [_observer(read)], unit=unit, description=description)

    @contextmanager
    def showing(self, source: Source) -> Iterator[None]:
        """Show the series of a source as long as the context lasts."""
        self._series.sources.append(source)
        try:
            yield
        finally:
            self._series.sources.remove(source)

    @contextmanager
    def span(self, name: str, carried: Mapping[str, str] | None = None) -> Iterator[dict[str, str]]:
        """Trace a piece of work; yields the headers that pass its context on, empty while it is not recorded.

        Args:
            name: what is done, such as `topology-builder reduce`.
            carried: the headers of the message that caused it; None begins a trace.
        """
        with self.tracer.start_as_current_span(name, context=extract(carried) if carried is not None else None):
            headers: dict[str, str] = {}
            inject(headers)
            yield headers

    def render(self) -> bytes:
        """Return all metrics, as of now, in the text format of Prometheus."""
        return generate_latest(self._registry)

    def shutdown(self, deadline_s: float = SHUTDOWN_S) -> bool:
        """Send the spans that wait, and end. It blocks, so it comes last.

        Args:
            deadline_s: seconds after which unsent spans are dropped.

        Returns:
            Whether everything was sent in time.
        """
        # The SDK's own shutdown waits up to thirty seconds for a dead collector and takes no deadline. A daemon
        # thread can be left behind: it does not keep the process alive.
        sender = threading.Thread(target=self._tracers.shutdown, name="telemetry-shutdown", daemon=True)
        sender.start()
        sender.join(deadline_s)
        self._meters.shutdown()
        return not sender.is_alive()


def _observer(read: Callable[[], float | None]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_: CallbackOptions) -> Iterable[Observation]:
        value = read()
        return [] if value is None else [Observation(value)]

    return observe


def _tracer_provider(config: TelemetryConfig, resource: Resource) -> TracerProvider:
    if config.otlp_endpoint is None:
        # Spans have no receiver, so none is recorded, and `inject` adds no header.
        return TracerProvider(sampler=ALWAYS_OFF, resource=resource, shutdown_on_exit=False)
    # A tenth of what the start of a service costs, with protobuf and an HTTP client of its own.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    sampler = ParentBased(TraceIdRatioBased(config.trace_sample_ratio))
    provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
    # Given as an argument, the exporter takes the url as it is; only from its variable would it add the path.
    exporter = OTLPSpanExporter(endpoint=f"{config.otlp_endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def inject(headers: dict[str, str]) -> None:
    """Add the current span to a message's headers as W3C `traceparent`; add nothing while no span is recording."""
    if get_current_span().is_recording():
        _W3C.inject(headers)


def extract(headers: Mapping[str, str]) -> Context:
    """Return the context that a message's headers carry, for `tracer.start_span(context=…)`.

    Headers without `traceparent`, or with a malformed one, give an empty context: the span begins a new trace.
    """
    return _W3C.extract(headers)
