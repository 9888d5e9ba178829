"""The Secrets of a QdrantCluster: made once, with what chance gives; never read, never changed."""

from datetime import datetime
from typing import Any

from kgents_operator.credentials import certificate, domains, password, secret
from kgents_operator.desired.owner import Owner
from kgents_operator.desired.qdrant_names import QdrantNames
from kgents_operator.resources.qdrant import GRPC_PORT, PORT, Spec

Json = dict[str, Any]


def made(owner: Owner, names: QdrantNames, spec: Spec, now: datetime) -> list[Json]:
    """Every Secret, each with another key at each call: for a creation that fails where there is one."""
    app = {
        "api-key": password(),
        "host": names.host,
        "port": str(PORT),
        "grpc-port": str(GRPC_PORT),
        "url": f"https://{names.endpoint}",
    }
    found = [
        secret(owner, names.secret("credentials"), app),
        secret(owner, names.secret("monitor"), {"api-key": password()}),
    ]
    if spec.tls.secret_name is None:
        hosts = domains(names.name, names.namespace)
        hosts += [f"*.{each}" for each in domains(names.nodes, names.namespace)]
        found.append(secret(owner, names.secret("tls"), certificate(names.name, hosts, now)))
    return found
