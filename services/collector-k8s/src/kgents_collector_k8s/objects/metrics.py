"""Usage: `metrics.k8s.io/v1beta1`, as metrics-server answers."""

from datetime import datetime

from kgents_collector_k8s.objects.metadata import Lean, Metadata


class ContainerMetrics(Lean, frozen=True):
    """What one container uses: `cpu` (cores) and `memory` (bytes, working set) as quantities."""

    name: str
    usage: dict[str, str] | None = None


class PodMetrics(Lean, frozen=True):
    """What a pod's containers used over a window that ended at `timestamp`."""

    metadata: Metadata
    timestamp: datetime
    containers: list[ContainerMetrics] | None = None


class NodeMetrics(Lean, frozen=True):
    """What a node used over a window that ended at `timestamp`."""

    metadata: Metadata
    timestamp: datetime
    usage: dict[str, str] | None = None
