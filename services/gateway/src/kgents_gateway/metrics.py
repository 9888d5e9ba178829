"""How a gateway is used → metrics, beside those that every service has."""

from collections.abc import Callable

from kgents_gateway.world import Gateway
from kgents_shared.runtime.telemetry import Telemetry


def observe(telemetry: Telemetry, gateway: Gateway) -> None:
    """Expose what it holds, and for how many clients."""
    clients = gateway.connections
    shown: tuple[tuple[str, str, str, Callable[[], int]], ...] = (
        ("kgents.gateway.entities", "{entity}", "entities held", lambda: gateway.entities),
        ("kgents.gateway.clients", "{client}", "open streams", lambda: len(clients)),
        ("kgents.gateway.waiting", "By", "what waits for clients to take it", lambda: clients.waiting_bytes),
        ("kgents.gateway.stalled", "{client}", "clients cut off: they took nothing", lambda: clients.stalled),
    )
    for name, unit, description, read in shown:
        telemetry.gauge(name, unit, description, read)
