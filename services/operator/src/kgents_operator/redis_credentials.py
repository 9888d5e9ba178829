"""The Secrets of a RedisCluster: made once, with what chance gives; never read, never changed."""

from datetime import datetime
from typing import Any

from kgents_operator.credentials import certificate, domains, login, password, secret
from kgents_operator.desired.owner import Owner
from kgents_operator.desired.redis_names import RedisNames
from kgents_operator.resources.redis import PORT, Spec

Json = dict[str, Any]


def made(owner: Owner, names: RedisNames, spec: Spec, now: datetime) -> list[Json]:
    """Every Secret, each with another password at each call: for a creation that fails where there is one."""
    own = password()
    app = {
        "username": "app",
        "password": own,
        "host": names.host,
        "port": str(PORT),
        "connection-string": f"rediss://app:{own}@{names.endpoint}/0",
    }
    found = [
        secret(owner, names.secret("credentials"), app),
        login(owner, names.secret("monitor"), "kgents"),
        login(owner, names.secret("replica"), "replica"),
        login(owner, names.secret("backup"), "backup"),
    ]
    if spec.tls.secret_name is None:
        found.append(secret(owner, names.secret("tls"), certificate(names.name, _hosts(names), now)))
    return found


def _hosts(names: RedisNames) -> list[str]:
    found = [each for name in (names.name, names.replicas) for each in domains(name, names.namespace)]
    return [*found, *(f"*.{each}" for each in domains(names.nodes, names.namespace))]
