"""The configured address of a target → attributes, and the connection to the entity with that address. Pure."""

from kgents_shared.contract.address import split
from kgents_shared.contract.entity import Connection, Value
from kgents_shared.contract.vocabulary import edges
from kgents_shared.contract.vocabulary.attributes import otel


def place(address: str) -> dict[str, Value]:
    """`server.address` and `server.port`, as OpenTelemetry defines them; of a unix socket only its path."""
    if address.startswith("/"):
        return {otel.SERVER_ADDRESS: address}
    host, port = split(address)
    return {otel.SERVER_ADDRESS: host, otel.SERVER_PORT: port}


def runs_on(address: str) -> list[Connection]:
    """The connection to the Service, pod or container with this address; none for a unix socket."""
    return [] if address.startswith("/") else [Connection(edges.RUNS_ON, address, evidence="configured address")]
