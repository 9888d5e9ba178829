"""A RedisCluster and what was observed of it → its objects, or why it is refused. Pure."""

from typing import Any

from kgents_operator.desired import redis_backup, redis_server
from kgents_operator.desired.outcome import CLAIM, STATEFULSET, Desired, Observed, Place, Refusal, growth, mismatch
from kgents_operator.desired.owner import DESIRED, REPLICAS, RESTART, Owner, stamped
from kgents_operator.desired.redis_names import RedisNames
from kgents_operator.desired.stateful import founded
from kgents_operator.images import Images
from kgents_operator.resources.redis import REPLICAS_MAX, Spec

Json = dict[str, Any]


def desired(
    owner: Owner, spec: Spec, annotations: dict[str, str], observed: Observed, images: Images
) -> Desired[RedisNames]:
    """All objects of a resource but its Secrets."""
    names = RedisNames(owner.name, owner.namespace)
    claims = _claims(names, spec)
    if refusal := _refusal(names, spec, observed.objects):
        return Desired(names, refusal=refusal, claims=claims)
    made = redis_server.Made(owner, names, spec, images, annotations.get(RESTART, ""))
    current, following = (observed.objects.get((STATEFULSET, each)) for each in (names.name, names.replicas))
    copies = [each for each in range(REPLICAS_MAX - 1) if (CLAIM, names.replica_claim(each)) in observed.objects]
    found = [made.configuration(copies, founded(observed.objects, names)), made.service(), made.nodes(), made.network()]
    primary, is_held = made.primary(current), False
    if _has_replicas(names, spec, observed.objects):
        replicas = made.replicas(following)
        found.append(replicas)
        is_held = spec.replicas > 1 and waits(stamped(primary), current, stamped(replicas), following)
    if not is_held:
        found.append(primary)
    if spec.replicas > 1:
        found += [made.reading(), made.budget()]
    if (job := redis_backup.cronjob(owner, names, spec, images)) is not None:
        found.append(job)
    grown = growth(observed.objects, claims, str(spec.persistence.storage_size))
    return Desired(names, [stamped(each) for each in found], growth=grown, claims=claims, is_held=is_held)


def _claims(names: RedisNames, spec: Spec) -> dict[str, str]:
    if not spec.persistence.enabled:
        return {}
    replicas = {names.replica_claim(each): names.replicas for each in range(spec.replicas - 1)}
    return {names.claim(): names.name} | replicas


def _has_replicas(names: RedisNames, spec: Spec, objects: dict[Place, Json]) -> bool:
    """Once made they stay, without pods where none is asked for: what holds data is never deleted.

    They are made when the primary has answered: a replica that is there without a primary means that one was lost.
    """
    if (STATEFULSET, names.replicas) in objects:
        return True
    primary = objects.get((STATEFULSET, names.name)) or {}
    return spec.replicas > 1 and bool((primary.get("status") or {}).get("readyReplicas"))


def waits(primary: Json, current: Json | None, replicas: Json, following: Json | None) -> bool:
    """Whether the primary goes on as it is, since its replicas do not run yet with what is new.

    What they cannot start with never reaches it then. One that does not run has nothing to lose, and what both must
    agree on, passwords and certificates, starts them together.
    """
    if current is None or not (current.get("status") or {}).get("readyReplicas"):
        return False
    if _applied(current) == _applied(primary) or _agreed(current) != _agreed(primary):
        return False
    state = (following or {}).get("status") or {}
    return (
        following is None
        or _applied(following) != _applied(replicas)
        or state.get("observedGeneration", 0) < following["metadata"].get("generation", 0)
        or state.get("updateRevision") != state.get("currentRevision")
        or (state.get("readyReplicas") or 0) < replicas["spec"]["replicas"]
    )


def _applied(statefulset: Json) -> str:
    return str((statefulset["metadata"].get("annotations") or {}).get(DESIRED, ""))


def _agreed(statefulset: Json) -> tuple[Any, Any]:
    """When passwords were read, and the Secret of the certificate."""
    template = statefulset["spec"]["template"]
    (secret,) = (each["secret"]["secretName"] for each in template["spec"]["volumes"] if each["name"] == "tls")
    return (template["metadata"].get("annotations") or {}).get(RESTART, ""), secret


def _refusal(names: RedisNames, spec: Spec, objects: dict[Place, Json]) -> Refusal | None:
    """Data of an earlier resource of this name is taken only by one that asks for the same."""
    copies = [each for each in map(names.replica_claim, range(REPLICAS_MAX - 1)) if (CLAIM, each) in objects]
    if not spec.persistence.enabled:
        return _switched(names, [each for each in (names.claim(), *copies) if (CLAIM, each) in objects])
    if copies and (CLAIM, names.claim()) not in objects:
        message = (
            f"expected the volume {names.claim()} of the primary, found none, and {', '.join(copies)} of {REPLICAS}: "
            "nothing is started, since an empty primary empties its replicas; restore the volume, or delete the others"
        )
        return Refusal("PrimaryVolumeMissing", message)
    for claim in (names.claim(), *copies):
        kept = objects.get((CLAIM, claim))
        if kept is not None and (found := mismatch(kept, redis_server.volume(spec))) is not None:
            return found
    return None


def _switched(names: RedisNames, kept: list[str]) -> Refusal | None:
    """Why a server without a volume is not started while there are some."""
    if not kept:
        return None
    message = (
        f"expected persistence, since {', '.join(kept)} of {names.name} was kept, found it switched off: it cannot be "
        "switched; enable it, delete the volumes, or use another name"
    )
    return Refusal("PersistenceSwitched", message)
