"""Usage: metrics.k8s.io → mapping.metrics → pulses. A cluster without metrics-server has none, which is not a fault."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Generic, TypeVar

import msgspec
import structlog

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.inventory import Inventory
from kgents_collector_k8s.mapping import metrics
from kgents_collector_k8s.mapping.fragment import Scope
from kgents_collector_k8s.objects.metrics import NodeMetrics, PodMetrics
from kgents_collector_k8s.source import UNREADABLE, ApiClient, ApiError
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.runtime.collector import Collector
from kgents_shared.runtime.service import Context

ROOT: Final = "/apis/metrics.k8s.io/v1beta1"
BREATH: Final = 100

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class _Items(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw] | None = None


class _Part(Generic[T]):
    """One request: the usage of all nodes, or of the pods of all namespaces or of one."""

    def __init__(self, what: str, path: str, type_: type[T], pulses: Callable[[T], Iterable[ResourcePulse]]) -> None:
        self.path = path
        self.type = type_
        self.pulses = pulses
        self.fault = ""
        """Why it cannot be read now; empty when it can, or when there is no metrics-server."""
        self._what = what
        self._failures = 0

    def well(self) -> None:
        self._failures, self.fault = 0, ""

    def failed(self, error: ApiError | TimeoutError) -> None:
        """A refusal is reported at once, any other failure from the second in a row on."""
        self._failures += 1
        status = error.status if isinstance(error, ApiError) else 0
        if status == 404:
            self.fault = ""
        elif status == 403 or self._failures > 1:
            self.fault = f"usage of {self._what}: {error if isinstance(error, ApiError) else 'no answer in time'}"


class Usage:
    """Pulses of one cluster. A request that fails does not affect the others."""

    def __init__(
        self,
        context: Context[Config],
        client: ApiClient,
        collector: Collector,
        inventory: Inventory,
        scope: Scope,
        changed: asyncio.Event,
    ) -> None:
        """`changed` is set whenever `faults` changes."""
        self._context = context
        self._collector = collector
        self._client = client
        self._changed = changed
        self._interval_s = interval_s = context.config.metrics_interval_s
        entity_of = inventory.entity

        def of_node(found: NodeMetrics) -> list[ResourcePulse]:
            pulse = metrics.node_pulse(found, entity_of, scope, interval_s=interval_s)
            return [pulse] if pulse is not None else []

        def of_pod(found: PodMetrics) -> list[ResourcePulse]:
            return metrics.pod_pulses(found, entity_of, scope, interval_s=interval_s)

        self._parts: list[_Part[Any]] = [
            _Part("pods", f"{ROOT}/namespaces/{each}/pods", PodMetrics, of_pod) for each in context.config.namespaces
        ]
        if not self._parts:
            nodes = _Part("nodes", f"{ROOT}/nodes", NodeMetrics, of_node)
            self._parts = [nodes, _Part("pods", f"{ROOT}/pods", PodMetrics, of_pod)]

    @property
    def faults(self) -> list[str]:
        """Why usage cannot be read now; empty when it can, or when the cluster has no metrics-server."""
        return [each.fault for each in self._parts if each.fault]

    async def run(self) -> None:
        """Poll every `metrics_interval_s`, and publish what our entities use. Never returns."""
        async with asyncio.TaskGroup() as tasks:
            for part in self._parts:
                tasks.create_task(self._poll(part))

    async def _poll(self, part: _Part[T]) -> None:
        while True:
            before = part.fault
            try:
                await self._publish(part)
                part.well()
            except (ApiError, TimeoutError) as error:
                part.failed(error)
            if part.fault != before:
                _log.warning("usage_unreadable", reason=part.fault) if part.fault else _log.info("usage_readable")
                self._changed.set()
            await self._context.clock.sleep(self._interval_s)

    async def _publish(self, part: _Part[T]) -> None:
        answer = await self._client.get(part.path, {}, _Items)
        count = 0
        for item in _readable(answer.items or (), part.path, part.type):
            for pulse in part.pulses(item):
                self._collector.publish_pulse(pulse)
                count += 1
                if count % BREATH == 0:
                    await asyncio.sleep(0)


def _readable(items: Iterable[msgspec.Raw], path: str, type_: type[T]) -> Iterator[T]:
    """The readable items, decoded one at a time: 100,000 at once would block the event loop."""
    for raw in items:
        try:
            yield msgspec.json.decode(raw, type=type_)
        except UNREADABLE as error:
            _log.debug("malformed_usage_item", path=path, reason=str(error))
