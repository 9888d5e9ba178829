"""What was found → the status of a PostgresCluster. Pure."""

from typing import Any

from kgents_operator.answers import backup, not_running, progress, resize
from kgents_operator.desired.outcome import STATEFULSET
from kgents_operator.desired.postgres import CLUSTER
from kgents_operator.desired.postgres_names import PostgresNames
from kgents_operator.resources.postgres import Spec, Status
from kgents_operator.status import Lack, Seen, stated

Json = dict[str, Any]
Postgres = Seen[Spec, PostgresNames]


def status(seen: Postgres) -> Status:
    """All of it but the times of its conditions."""
    names, spec = seen.wanted.names, seen.spec
    server = seen.objects.get((CLUSTER if names.is_cnpg else STATEFULSET, names.name))
    is_unmade = server is None and seen.findings.refusal is not None
    has_pooler = server is not None and spec.pooler.enabled
    answers = [
        *progress(seen, (STATEFULSET, names.name), ("Deployment", names.pooler)),
        *resize(seen),
        *backup(seen),
    ]
    return stated(
        Status,
        seen,
        server,
        _of_cnpg(spec, server) if names.is_cnpg else _lack(seen),
        answers,
        has_figures=seen.figures.connections is not None,
        backend=None if is_unmade else "cnpg" if names.is_cnpg else "builtin",
        pooler_endpoint=names.pooler_endpoint if has_pooler else None,
        connections=seen.figures.connections,
    )


def _lack(seen: Postgres) -> Lack | None:
    names = seen.wanted.names
    if (found := not_running(seen, names.name)) is not None:
        return found
    pooler = seen.objects.get(("Deployment", names.pooler), {})
    if seen.spec.pooler.enabled and not (pooler.get("status") or {}).get("availableReplicas"):
        return Lack("PoolerNotReady", f"no pod of the Deployment {names.pooler} is available")
    return None


def _of_cnpg(spec: Spec, cluster: Json | None) -> Lack | None:
    if cluster is None:
        return Lack("NotMade", "the Cluster is not made yet")
    state = cluster.get("status") or {}
    ready = state.get("readyInstances") or 0
    if ready >= spec.replicas:
        return None
    said = f": {state['phase']}" if state.get("phase") else ""
    return Lack("ServerNotReady", f"expected {spec.replicas} ready instances, found {ready}{said}")
