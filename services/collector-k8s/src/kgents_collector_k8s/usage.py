"""Usage: metrics.k8s.io → mapping.metrics → pulses. A cluster without metrics-server simply has none."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final, TypeVar

import msgspec
import structlog

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.inventory import Inventory
from kgents_collector_k8s.mapping import metrics
from kgents_collector_k8s.mapping.fragment import SOURCE, Scope
from kgents_collector_k8s.objects.metrics import NodeMetrics, PodMetrics
from kgents_collector_k8s.source import UNREADABLE, ApiClient, ApiError
from kgents_shared.contract.codec import encode
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.runtime.service import Context

ROOT: Final = "/apis/metrics.k8s.io/v1beta1"
ABSENT_S: Final = 300.0
"""Until the next try when the cluster does not serve it."""
BREATH: Final = 100

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class _Items(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw] | None = None


async def poll_usage(context: Context[Config], client: ApiClient, inventory: Inventory, scope: Scope) -> None:
    """Ask every `metrics_interval_s`, and publish what our entities use. Never returns."""
    interval_s = context.config.metrics_interval_s
    while True:
        wait_s = interval_s
        try:
            count = 0
            async for pulse in _pulses(client, inventory, scope, context.config):
                context.log.publish(pulse.ref.subject("pulse", source=SOURCE), encode(pulse))
                count += 1
                if count % BREATH == 0:
                    await asyncio.sleep(0)
        except (ApiError, TimeoutError) as error:
            _log.debug("no usage", why=str(error))
            wait_s = ABSENT_S if isinstance(error, ApiError) and error.status in (403, 404, 503) else interval_s
        await context.clock.sleep(wait_s)


async def _pulses(
    client: ApiClient, inventory: Inventory, scope: Scope, config: Config
) -> AsyncIterator[ResourcePulse]:
    interval_s = config.metrics_interval_s
    if not config.namespaces:
        for node in await _items(client, f"{ROOT}/nodes", NodeMetrics):
            pulse = metrics.node_pulse(node, inventory.entity, scope, interval_s=interval_s)
            if pulse is not None:
                yield pulse
    for namespace in config.namespaces or [""]:
        path = f"{ROOT}/namespaces/{namespace}/pods" if namespace else f"{ROOT}/pods"
        for pod in await _items(client, path, PodMetrics):
            for each in metrics.pod_pulses(pod, inventory.entity, scope, interval_s=interval_s):
                yield each


async def _items(client: ApiClient, path: str, type_: type[T]) -> Iterator[T]:
    """The items that can be read, each read when it is asked for: 100,000 at once would hold up everything."""
    answer = await client.get(path, {}, _Items)
    return _readable(answer.items or (), path, type_)


def _readable(items: Iterable[msgspec.Raw], path: str, type_: type[T]) -> Iterator[T]:
    for raw in items:
        try:
            yield msgspec.json.decode(raw, type=type_)
        except UNREADABLE as error:
            _log.debug("cannot read an item of usage", path=path, why=str(error))
