"""What was observed of a resource, and what there should be of it. Pure."""

from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

from kgents_operator.desired.owner import COMPONENT, IDENTITY
from kgents_shared.kubernetes.quantity import number

Json = dict[str, Any]
Place = tuple[str, str]
"""Kind and name."""
N = TypeVar("N")
"""How the objects are called."""

STATEFULSET: Final = "StatefulSet"
CLAIM: Final = "PersistentVolumeClaim"


class Observed(Struct, frozen=True):
    """What there is of one resource in its namespace."""

    objects: dict[Place, Json] = {}
    """Those that carry our labels."""
    is_cnpg_served: bool | None = None
    """Whether the server knows Clusters of CloudNativePG; None: not known."""


class Volume(Struct, frozen=True):
    """What each server keeps its data on."""

    holds: str
    """What is on it: a volume of anything else is never started on."""
    size: str
    storage_class: str | None
    when_deleted: str


class Refusal(Struct, frozen=True):
    """Why nothing is applied."""

    reason: str
    message: str
    is_final: bool = True
    """Whether only a person can change it."""


class Desired(Struct, Generic[N], frozen=True):
    """What there should be."""

    names: N
    objects: list[Json] = []
    """In the order in which they are applied."""
    refusal: Refusal | None = None
    growth: dict[str, str] = {}
    """The size that volumes should grow to, by their claims, if they are smaller."""
    claims: dict[str, str] = {}
    """The StatefulSet that starts on each claim."""
    is_held: bool = False
    """Whether what takes writes goes on as it is, until what follows it runs with what is new."""


def claimed(claim: Json | None) -> str | None:
    """The size that a claim asks for, as it is written."""
    found = (claim or {}).get("spec", {}).get("resources", {}).get("requests", {}).get("storage")
    return str(found) if found is not None else None


def template(statefulset: Json | None) -> Json | None:
    """What its volumes were made of: no StatefulSet changes it."""
    found = (statefulset or {}).get("spec", {}).get("volumeClaimTemplates") or [None]
    made: Json | None = found[0]
    return made


def growth(objects: dict[Place, Json], claims: dict[str, str], size: str) -> dict[str, str]:
    """The claims that ask for less."""
    wanted, found = number(size) or 0, {}
    for claim in claims:
        asked = number(claimed(objects.get((CLAIM, claim))) or "")
        if asked is not None and asked < wanted:
            found[claim] = size
    return found


def mismatch(kept: Json, wanted: Volume) -> Refusal | None:
    """Why a server is not started on data that was kept: what may not change of a resource is another one here.

    Args:
        kept: a claim, or a Cluster of CloudNativePG.
        wanted: what is asked for.
    """
    where, storage = f"{kept['kind']} {kept['metadata']['name']}", kept["spec"].get("storage", {})
    found = (kept["metadata"].get("annotations") or {}).get(IDENTITY, "")
    if found != wanted.holds:
        message = (
            f"expected {where} to hold {wanted.holds}, found {found or 'no such annotation'}: nothing is started on "
            "it; ask for what it holds, or use another name"
        )
        return Refusal("VolumeMismatch", message)
    class_ = kept["spec"].get("storageClassName") or storage.get("storageClass")
    if wanted.storage_class not in (None, class_):
        message = (
            f"expected {where} to be of the storage class {wanted.storage_class}, found {class_ or 'none'}: it cannot "
            "change; ask for that class or for none, or use another name"
        )
        return Refusal("VolumeMismatch", message)
    asked = claimed(kept) or storage.get("size")
    if (number(str(asked)) or 0) > (number(wanted.size) or 0):
        return Refusal("StorageShrinks", f"expected at least the {asked} of {where}, found {wanted.size}")
    return None


def servers(wanted: Desired[Any], objects: Mapping[Place, Json]) -> list[str]:
    """The pods with the data, the one that takes writes first: by their names the stream knows them."""
    cluster = objects.get(("Cluster", wanted.names.name))
    if cluster is None:
        return [each.removeprefix("data-") for each in wanted.claims] or [f"{wanted.names.name}-0"]
    state = cluster.get("status") or {}
    primary, names = str(state.get("currentPrimary") or ""), state.get("instanceNames") or ()
    return [primary, *(str(each) for each in names if each != primary)]


def left(wanted: Desired[Any], objects: Mapping[Place, Json], component: str) -> list[str]:
    """The claims of a component that no server starts on now."""
    return sorted(
        name
        for (kind, name), each in objects.items()
        if kind == CLAIM
        and name not in wanted.claims
        and (each["metadata"].get("labels") or {}).get(COMPONENT) == component
    )
