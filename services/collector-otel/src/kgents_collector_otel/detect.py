"""Where this machine's programs can send OpenTelemetry data → Detected."""

from collections.abc import Mapping

from kgents_collector_otel.config import GRPC_PORT, HOST, HTTP_PORT
from kgents_shared.contract.address import join
from kgents_shared.runtime.detect import Detected, listens


def detect(_: Mapping[str, str]) -> list[Detected]:
    """The ports that are opened when nothing is configured: programs send there by their own defaults."""
    ports = {"gRPC": GRPC_PORT, "HTTP": HTTP_PORT}
    free = [f"{join(HOST, port)} ({name})" for name, port in ports.items() if not listens(HOST, port)]
    if free:
        return [Detected("OpenTelemetry", f"receives at {' and '.join(free)}")]
    needs = f"port {GRPC_PORT} or {HTTP_PORT}, which other programs use; or grpc.port in the section collector-otel"
    return [Detected("OpenTelemetry", needs=needs)]
