"""A PostgresCluster and what was observed of it → its objects, or why it is refused. Pure."""

from typing import Any, Final

from kgents_operator.desired import cnpg, pooler, postgres_backup, postgres_server
from kgents_operator.desired.outcome import CLAIM, STATEFULSET, Desired, Observed, Refusal, growth, mismatch
from kgents_operator.desired.owner import RESTART, Owner, stamped
from kgents_operator.desired.postgres_names import PostgresNames
from kgents_operator.desired.stateful import founded
from kgents_operator.images import Images
from kgents_operator.resources.postgres import Spec

Json = dict[str, Any]
CLUSTER: Final = "Cluster"


def desired(
    owner: Owner, spec: Spec, annotations: dict[str, str], observed: Observed, images: Images
) -> Desired[PostgresNames]:
    """All objects of a resource but its Secrets."""
    names = PostgresNames(owner.name, owner.namespace, is_cnpg=_is_cnpg(owner, spec, observed))
    if refusal := _refusal(owner, names, spec, observed):
        return Desired(names, refusal=refusal)
    restart = annotations.get(RESTART, "")
    if names.is_cnpg:
        found = _of_cnpg(owner, names, spec, images)
    else:
        found = _of_ours(owner, names, spec, images, observed, restart)
    if (job := postgres_backup.cronjob(owner, names, spec, images)) is not None:
        found.append(job)
    claims = {} if names.is_cnpg else {names.claim(): owner.name}
    grown = growth(observed.objects, claims, str(spec.storage.size))
    return Desired(names, [stamped(each) for each in found], growth=grown, claims=claims)


def _is_cnpg(owner: Owner, spec: Spec, observed: Observed) -> bool:
    """Who runs the server is decided once: what is there stays."""
    if (CLUSTER, owner.name) in observed.objects:
        return True
    return spec.replicas > 1 and not _has_own_server(owner, observed)


def _has_own_server(owner: Owner, observed: Observed) -> bool:
    names = PostgresNames(owner.name, owner.namespace)
    return (STATEFULSET, owner.name) in observed.objects or (CLAIM, names.claim()) in observed.objects


def _refusal(owner: Owner, names: PostgresNames, spec: Spec, observed: Observed) -> Refusal | None:
    if spec.replicas > 1 and not names.is_cnpg:
        message = (
            f"expected 1 replica of a server that was made with 1, found {spec.replicas}: the server goes on as it is; "
            "set replicas: 1, or dump the database and restore it into a new PostgresCluster with more"
        )
        return Refusal("ReplicasUnsupported", message)
    if names.is_cnpg and observed.is_cnpg_served is None:
        return Refusal("BackendUnknown", "cannot read whether CloudNativePG is installed", is_final=False)
    if names.is_cnpg and not observed.is_cnpg_served:
        message = (
            f"expected CloudNativePG for {spec.replicas} replicas, found no {cnpg.API_VERSION}: nothing is made; "
            "install its operator, or set replicas: 1"
        )
        return Refusal("ReplicasUnsupported", message)
    return _kept_data(owner, names, spec, observed)


def _kept_data(owner: Owner, names: PostgresNames, spec: Spec, observed: Observed) -> Refusal | None:
    """Data of an earlier resource of this name is taken only by one that asks for the same."""
    place = (CLUSTER, owner.name) if names.is_cnpg else (CLAIM, names.claim())
    kept = observed.objects.get(place)
    return None if kept is None else mismatch(kept, postgres_server.volume(spec))


def _of_ours(
    owner: Owner, names: PostgresNames, spec: Spec, images: Images, observed: Observed, restart: str
) -> list[Json]:
    current = observed.objects.get((STATEFULSET, owner.name))
    found = [
        postgres_server.configuration(owner, names, spec, founded(observed.objects, names)),
        postgres_server.service(owner, names),
        postgres_server.network(owner, spec),
        postgres_server.statefulset(owner, names, spec, images, restart, current),
    ]
    return found + (pooler.objects(owner, names, spec, images, restart) if spec.pooler.enabled else [])


def _of_cnpg(owner: Owner, names: PostgresNames, spec: Spec, images: Images) -> list[Json]:
    found = [postgres_server.configuration(owner, names, spec), cnpg.cluster(owner, names, spec, images)]
    return found + ([cnpg.pooler(owner, names, spec)] if spec.pooler.enabled else [])
