"""Where a target is: its configured address → attributes, and the edge to what serves there. Pure."""

from kgents_shared.contract.address import split
from kgents_shared.contract.entity import Connection, Value
from kgents_shared.contract.vocabulary import edges
from kgents_shared.contract.vocabulary.attributes import otel


def place(address: str) -> dict[str, Value]:
    """`server.address` and `server.port`, as OpenTelemetry has them; a unix socket is its path alone."""
    if address.startswith("/"):
        return {otel.SERVER_ADDRESS: address}
    host, port = split(address)
    return {otel.SERVER_ADDRESS: host, otel.SERVER_PORT: port}


def runs_on(address: str) -> list[Connection]:
    """The Service, pod or container that answers there; nobody else can reach a unix socket."""
    return [] if address.startswith("/") else [Connection(edges.RUNS_ON, address, evidence="configured address")]
