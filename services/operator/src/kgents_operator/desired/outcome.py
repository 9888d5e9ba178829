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


def template_size(statefulset: Json | None) -> str | None:
    """What its volumes were made with: no StatefulSet changes it."""
    templates = (statefulset or {}).get("spec", {}).get("volumeClaimTemplates") or [None]
    return claimed(templates[0])


def growth(objects: dict[Place, Json], claims: dict[str, str], size: str) -> dict[str, str]:
    """The claims that ask for less."""
    wanted, found = number(size) or 0, {}
    for claim in claims:
        asked = number(claimed(objects.get((CLAIM, claim))) or "")
        if asked is not None and asked < wanted:
            found[claim] = size
    return found


def mismatch(kept: Json, holds: str, wanted: str) -> Refusal | None:
    """Why a server that asks for `wanted` is not started on data that was kept: they are others, or are on more.

    Args:
        kept: a claim, or a Cluster of CloudNativePG.
        holds: what should be on it.
        wanted: the size that is asked for.
    """
    where = f"{kept['kind']} {kept['metadata']['name']}"
    found = (kept["metadata"].get("annotations") or {}).get(IDENTITY, "")
    if found != holds:
        message = (
            f"expected {where} to hold {holds}, found {found or 'no such annotation'}: nothing is started on it; "
            "ask for what it holds, or use another name"
        )
        return Refusal("VolumeMismatch", message)
    asked = claimed(kept) or kept["spec"].get("storage", {}).get("size")
    if (number(str(asked)) or 0) > (number(wanted) or 0):
        return Refusal("StorageShrinks", f"expected at least the {asked} of {where}, found {wanted}")
    return None


def left(wanted: Desired[Any], objects: Mapping[Place, Json], component: str) -> list[str]:
    """The claims of a component that no server starts on now."""
    return sorted(
        name
        for (kind, name), each in objects.items()
        if kind == CLAIM
        and name not in wanted.claims
        and (each["metadata"].get("labels") or {}).get(COMPONENT) == component
    )
