"""The Secrets of a PostgresCluster: made once, with what chance gives; never read, never changed."""

from datetime import datetime
from typing import Any

from kgents_operator.credentials import certificate, domains, login, password, secret
from kgents_operator.desired.owner import Owner
from kgents_operator.desired.postgres_names import PostgresNames
from kgents_operator.resources.postgres import PORT, Spec

Json = dict[str, Any]


def made(owner: Owner, names: PostgresNames, spec: Spec, now: datetime) -> list[Json]:
    """Every Secret, each with another password at each call: for a creation that fails where there is one."""
    return [
        login(owner, names.secret("monitor"), "kgents"),
        *([] if names.is_cnpg else _builtin(owner, names, spec, now)),
    ]


def _builtin(owner: Owner, names: PostgresNames, spec: Spec, now: datetime) -> list[Json]:
    own_password = password()
    own = {
        "username": spec.database,
        "password": own_password,
        "database": spec.database,
        "host": names.host,
        "port": str(PORT),
        "connection-string": f"postgresql://{spec.database}:{own_password}@{names.endpoint}/{spec.database}?sslmode=require",
    }
    pooler = password()
    found = [
        secret(owner, names.secret("credentials"), own),
        login(owner, names.secret("replicator"), "replicator"),
        secret(owner, names.secret("pooler"), {"password": pooler, "userlist.txt": f'"pooler" "{pooler}"\n'}),
    ]
    if spec.tls.secret_name is None:
        found.append(secret(owner, names.secret("tls"), certificate(names.name, _hosts(names), now)))
    return found


def _hosts(names: PostgresNames) -> list[str]:
    """How server and pooler are called, from the namespace and from elsewhere."""
    return [each for name in (names.name, names.pooler) for each in domains(name, names.namespace)]
