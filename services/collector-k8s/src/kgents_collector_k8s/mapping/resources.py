"""Requests and limits: quantities of a container → attributes as numbers, and their sum over a pod."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from kgents_collector_k8s.mapping.entity import Attributes, given
from kgents_collector_k8s.objects.pod import PodSpec, Resources
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute
from kgents_shared.contract.vocabulary.attributes import otel
from kgents_shared.contract.vocabulary.attributes.attribute import AttributeName, Family
from kgents_shared.kubernetes.quantity import integer, number


class _Names(Struct, frozen=True):
    """The attributes of one resource: what is requested of it, and its limit."""

    request: AttributeName
    limit: AttributeName


def _names(family: Family) -> dict[str, _Names]:
    """The API's name of a resource → its attributes. `cpu` counts cores, the others bytes."""
    resources = (("cpu", "cpu"), ("memory", "memory"), ("ephemeral-storage", "ephemeral_storage"))
    return {
        api: _Names(family.named(resource=ours, bound="request"), family.named(resource=ours, bound="limit"))
        for api, ours in resources
    }


_POD: Final = _names(attribute.POD_RESOURCE)
_CONTAINER: Final = _names(otel.K8S_CONTAINER_RESOURCE)


Quantities = tuple[tuple[str, str], ...]
"""By resource name, in the order of the object."""
Stated = tuple[Quantities, Quantities]
"""Requests and limits."""
PodQuantities = tuple[Stated, tuple[Stated, ...]]
"""Of the pod itself, and of its containers."""
_NOTHING: Final[Stated] = ((), ())

REMEMBERED: Final = 4_096
"""Combinations of values whose attributes are remembered: all pods of a workload have the same."""


def container_resources(of: Stated) -> Attributes:
    """`k8s.container.cpu.request` and the like."""
    requests, limits = of
    found: Attributes = {}
    for resource, names in _CONTAINER.items():
        found[names.request] = _read(requests, resource)
        found[names.limit] = _read(limits, resource)
    return given(found)


def pod_quantities(spec: PodSpec) -> PodQuantities:
    """What is stated for the pod, and for each of its containers that run together.

    That is all containers and the sidecars among the init containers; the other init containers are over by then.
    """
    found = [stated(each.resources) for each in spec.containers or ()]
    if spec.init_containers:
        found += [stated(each.resources) for each in spec.init_containers if each.restart_policy == "Always"]
    return stated(spec.resources), tuple(found)


def pod_resources(quantities: PodQuantities) -> Attributes:
    """`kgents.k8s.pod.cpu.request` and the like: stated for the pod, or the sum over containers that run together.

    The limit is left out unless each of them has one: without one, a container may take what the node has.
    """
    of_pod, side_by_side = quantities
    requested, capped = [requests for requests, _ in side_by_side], [limits for _, limits in side_by_side]
    found: Attributes = {}
    for resource, names in _POD.items():
        found[names.request] = _read(of_pod[0], resource) or _sum(requested, resource, all_needed=False)
        found[names.limit] = _read(of_pod[1], resource) or _sum(capped, resource, all_needed=True)
    return given(found)


def stated(resources: Resources | None) -> Stated:
    """Requests and limits."""
    if resources is None:
        return _NOTHING
    requests, limits = resources.requests, resources.limits
    return tuple(requests.items()) if requests else (), tuple(limits.items()) if limits else ()


def _read(quantities: Quantities, resource: str) -> float | None:
    quantity = dict(quantities).get(resource)
    return number(quantity) if resource == "cpu" else integer(quantity)


def _sum(each: Iterable[Quantities], resource: str, *, all_needed: bool) -> float | None:
    values = [_read(one, resource) for one in each]
    known = [value for value in values if value is not None]
    if not known or (all_needed and len(known) < len(values)):
        return None
    total = sum(known)
    return round(total, 9) if isinstance(total, float) else total
