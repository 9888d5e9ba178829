"""Containers of a pod: spec and status of each → a container entity, named `<pod>/<container>`."""

from collections.abc import Iterator
from functools import lru_cache
from sys import intern
from typing import Final

from kgents_collector_k8s.mapping.entity import Attributes, given
from kgents_collector_k8s.mapping.fragment import SOURCE, Scope
from kgents_collector_k8s.mapping.pod_status import container_status, ended
from kgents_collector_k8s.mapping.resources import REMEMBERED, Stated, container_resources, stated
from kgents_collector_k8s.objects.pod import Container, ContainerStatus, Pod
from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute
from kgents_shared.contract.vocabulary.attributes import otel

KIND: Final = kinds.CONTAINER


def entities(pod: Pod, owner: Ref, scope: Scope) -> list[Entity]:
    """One entity for each container, init and ephemeral ones too, in the order of the spec.

    A container lives as long as its id; before it has one, as long as its pod.
    """
    found = []
    for role, field, container, status in _all(pod):
        state, word, reason = container_status(pod, status)
        runtime, id_ = _id(status)
        attributes: Attributes = {
            otel.K8S_POD_UID: pod.metadata.uid,
            otel.K8S_CONTAINER_STATUS_STATE: state,
            otel.K8S_CONTAINER_STATUS_REASON: reason,
            otel.CONTAINER_ID: id_,
        }
        if status is not None:
            _add_history(status, attributes)
        shared = _alike(role, container.name, runtime, container.image, stated(container.resources))
        found.append(
            Entity(
                ref=Ref(scope.cluster, KIND, f"{owner.name}/{container.name}", owner.namespace),
                source=SOURCE,
                uid=id_ or pod.metadata.uid,
                status=word,
                reason=reason,
                attributes=given(attributes) | shared,
                aliases=[f"container-id:{id_}"] if id_ else [],
                connections=[Connection(kind=edges.OWNS, peer=owner, direction="in", evidence=field)],
                created_at=pod.metadata.creation_timestamp,
            )
        )
    return found


def pod_of(ref: Ref) -> Ref:
    """The pod of a container."""
    return Ref(ref.cluster, kinds.POD, ref.name.partition("/")[0], ref.namespace)


def _all(pod: Pod) -> Iterator[tuple[str, str, Container, ContainerStatus | None]]:
    """Role, field of the spec, container, and its status if the kubelet has reported one."""
    spec, status = pod.spec, pod.status
    found = {each.name: each for each in status.container_statuses or ()}
    for each in spec.containers or ():
        yield "app", "spec.containers", each, found.get(each.name)
    if spec.init_containers:
        found = {each.name: each for each in status.init_container_statuses or ()}
        for each in spec.init_containers:
            role = "sidecar" if each.restart_policy == "Always" else "init"
            yield role, "spec.initContainers", each, found.get(each.name)
    if spec.ephemeral_containers:
        found = {each.name: each for each in status.ephemeral_container_statuses or ()}
        for each in spec.ephemeral_containers:
            yield "ephemeral", "spec.ephemeralContainers", each, found.get(each.name)


def _id(status: ContainerStatus | None) -> tuple[str, str]:
    """`containerd://4f…` → its runtime and its id."""
    if status is None or not status.container_id:
        return "", ""
    runtime, scheme, id_ = status.container_id.partition("://")
    return (intern(runtime), id_) if scheme else ("", runtime)


def _add_history(status: ContainerStatus, attributes: Attributes) -> None:
    """How a container ended before. kubectl hides an OOM kill as soon as the container runs again; this does not."""
    attributes[otel.K8S_CONTAINER_RESTART_COUNT] = status.restart_count
    attributes[otel.CONTAINER_IMAGE_ID] = status.image_id
    last = status.last_state.terminated if status.last_state is not None else None
    if last is not None:
        attributes[otel.K8S_CONTAINER_STATUS_LAST_TERMINATED_REASON] = ended(last)
        attributes[attribute.CONTAINER_STATUS_LAST_TERMINATED_EXIT_CODE] = last.exit_code


@lru_cache(maxsize=REMEMBERED)
def _alike(role: str, name: str, runtime: str, image: str, resources: Stated) -> Attributes:
    """What many containers have in common; the same object for equal values, so not to be changed."""
    return given(
        {
            otel.K8S_CONTAINER_NAME: name,
            attribute.CONTAINER_TYPE: role,
            otel.CONTAINER_RUNTIME_NAME: runtime,
            **_image(image),
            **container_resources(resources),
        }
    )


def _image(image: str) -> Attributes:
    """`registry:5000/shop/cart:2.4.1@sha256:…` → name, tag and digest."""
    name, _, digest = image.partition("@")
    path, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:  # the colon of a registry's port
        path, tag = name, ""
    return {
        otel.CONTAINER_IMAGE_NAME: path,
        otel.CONTAINER_IMAGE_TAGS: [tag] if tag else None,
        otel.CONTAINER_IMAGE_REPO_DIGESTS: [f"{path}@{digest}"] if digest else None,
    }
