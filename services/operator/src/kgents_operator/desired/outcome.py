"""What was observed of a resource, and what there should be of it. Pure."""

from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

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
