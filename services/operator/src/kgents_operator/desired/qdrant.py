"""A QdrantCluster and what was observed of it → its objects, or why it is refused. Pure."""

from typing import Any

from kgents_operator.desired import qdrant_backup, qdrant_server
from kgents_operator.desired.outcome import CLAIM, STATEFULSET, Desired, Observed, Place, Refusal, growth, mismatch
from kgents_operator.desired.owner import RESTART, Owner, stamped
from kgents_operator.desired.qdrant_names import QdrantNames
from kgents_operator.desired.stateful import founded
from kgents_operator.images import Images
from kgents_operator.resources.qdrant import REPLICAS_MAX, Spec

Json = dict[str, Any]


def desired(
    owner: Owner, spec: Spec, annotations: dict[str, str], observed: Observed, images: Images
) -> Desired[QdrantNames]:
    """All objects of a resource but its Secrets."""
    names, objects = QdrantNames(owner.name, owner.namespace), observed.objects
    claims = {names.claim(each): names.name for each in range(spec.replicas)}
    current = objects.get((STATEFULSET, names.name))
    others = [each for each in map(names.claim, range(1, REPLICAS_MAX)) if (CLAIM, each) in objects]
    if refusal := _refusal(names, spec, objects, current, others):
        return Desired(names, refusal=refusal, claims=claims)
    made = qdrant_server.Made(owner, names, spec, images, annotations.get(RESTART, ""))
    found = [made.configuration(others, founded(objects, names)), made.service(), made.nodes(), made.network()]
    found.append(made.peers(_count(spec, current, others), current))
    if spec.replicas > 1:
        found.append(made.budget())
    if spec.collections:
        found.append(made.collections())
    if (job := qdrant_backup.cronjob(made)) is not None:
        found.append(job)
    grown = growth(objects, claims, str(spec.storage.size))
    return Desired(names, [stamped(each) for each in found], growth=grown, claims=claims)


def _count(spec: Spec, current: Json | None, others: list[str]) -> int:
    """One until it has founded the cluster: then each of the others finds it there."""
    has_founded = bool(((current or {}).get("status") or {}).get("readyReplicas"))
    return spec.replicas if has_founded or others or _were(current) > 1 else 1


def _were(current: Json | None) -> int:
    """How many peers were applied last; what somebody scales by hand does not count, unless the annotation is lost."""
    if current is None:
        return 0
    noted = (current["metadata"].get("annotations") or {}).get(qdrant_server.PEERS, "")
    return int(noted) if noted.isdecimal() else int(current.get("spec", {}).get("replicas", 0))


def _refusal(
    names: QdrantNames, spec: Spec, objects: dict[Place, Json], current: Json | None, others: list[str]
) -> Refusal | None:
    """Peers never become fewer, and data of an earlier resource of this name needs as many as there were."""
    if others and (CLAIM, names.claim(0)) not in objects:
        message = (
            f"expected the volume {names.claim(0)} of the first peer, found none, and {', '.join(others)} of others: "
            "nothing is started, since it would found a second cluster; restore the volume, or delete the others"
        )
        return Refusal("FirstVolumeMissing", message)
    if current is not None:
        if (were := _were(current)) > spec.replicas:
            message = (
                f"expected at least the {were} peers that there are, found {spec.replicas}: they go on as they are"
            )
            return Refusal("ScaleInRefused", message)
    elif fewer := [each for each in others if each not in map(names.claim, range(spec.replicas))]:
        message = (
            f"expected a peer for each volume that was kept, found {spec.replicas} replicas and {', '.join(fewer)}: "
            "nothing is started; ask for as many peers as there were, or delete volumes that none had joined with"
        )
        return Refusal("ScaleInRefused", message)
    for claim in (names.claim(0), *others):
        kept = objects.get((CLAIM, claim))
        if kept is not None and (found := mismatch(kept, qdrant_server.volume(spec))) is not None:
            return found
    return None
