"""What service meshes, the servicegraph connector, cAdvisor and kube-state-metrics expose, as text of Prometheus."""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Final

ISTIO: Final = {
    "source_canonical_service": "web",
    "source_workload": "web-v1",
    "source_workload_namespace": "shop",
    "destination_canonical_service": "cart",
    "destination_workload": "cart-v2",
    "destination_workload_namespace": "shop",
    "request_protocol": "http",
    "reporter": "destination",
    "response_code": "200",
    "response_flags": "-",
}
LINKERD: Final = {
    "direction": "outbound",
    "deployment": "web",
    "namespace": "shop",
    "dst_deployment": "pay",
    "dst_namespace": "shop",
    "classification": "success",
}
HUBBLE: Final = {
    "source_workload": "web",
    "source_namespace": "shop",
    "destination_workload": "search",
    "destination_namespace": "shop",
    "status": "200",
    "reporter": "server",
}
GRAPH: Final = {"client": "cart", "server": "orders", "connection_type": ""}
CONTAINER: Final = {"namespace": "shop", "pod": "cart-7f", "container": "cart"}

Labels = Mapping[str, str]
Series = tuple[str, Labels, float]


def shop(seconds: float, *, rate: float = 1.0) -> Iterator[Series]:
    """Everything that a shop has counted after some seconds: web calls cart, pay and search; cart calls orders."""
    so_far = rate * seconds
    yield "istio_requests_total", ISTIO, 9 * so_far
    yield "istio_requests_total", {**ISTIO, "response_code": "503"}, so_far
    yield "istio_requests_total", {**ISTIO, "reporter": "source"}, 10 * so_far
    yield from histogram("istio_request_duration_milliseconds", ISTIO, {5: 0, 10: 9 * so_far, 25: 9 * so_far})
    yield from histogram("istio_request_duration_milliseconds", {**ISTIO, "response_code": "503"}, {100: so_far})
    yield "istio_requests_total", {**ISTIO, "source_canonical_service": "unknown", "source_workload": "unknown"}, so_far
    refused = {**ISTIO, "reporter": "source", "response_flags": "UF", "response_code": "503"}
    yield "istio_requests_total", refused, 2 * so_far
    yield "response_total", LINKERD, 3 * so_far
    yield "response_total", {**LINKERD, "classification": "failure"}, so_far
    yield from histogram("response_latency_ms", LINKERD, {1: so_far, 2: 2 * so_far})
    yield "hubble_http_requests_total", HUBBLE, 5 * so_far
    yield "traces_service_graph_request_total", GRAPH, 4 * so_far
    yield "traces_service_graph_request_failed_total", GRAPH, so_far
    yield from histogram("traces_service_graph_request_server_seconds", GRAPH, {0.1: 4 * so_far})
    yield "traces_service_graph_request_total", {**GRAPH, "client": "user"}, so_far
    yield "container_cpu_usage_seconds_total", CONTAINER, 0.5 * so_far
    yield "container_memory_working_set_bytes", CONTAINER, 90e6
    yield "kube_pod_container_resource_limits", {**CONTAINER, "resource": "memory", "unit": "byte"}, 100e6
    yield "kube_pod_container_resource_limits", {**CONTAINER, "resource": "cpu", "unit": "core"}, 2.0
    yield "go_goroutines", {"secret": "Zx81-canary"}, 7.0


def histogram(name: str, labels: Labels, counts: Mapping[float, float]) -> Iterator[Series]:
    """Bucket → count in it, as cumulative series."""
    bounds = [*map(str, counts), "+Inf"]
    for bound, so_far in zip(bounds, accumulate([*counts.values(), 0.0]), strict=True):
        yield f"{name}_bucket", {**labels, "le": bound}, so_far
    yield f"{name}_count", labels, sum(counts.values())


def text(series: Iterator[Series]) -> str:
    """As a target exposes it."""
    lines = []
    for name, labels, value in series:
        inside = ",".join(f'{label}="{found}"' for label, found in labels.items())
        lines.append(f"{name}{{{inside}}} {value}")
    return "\n".join(sorted(lines)) + "\n"
