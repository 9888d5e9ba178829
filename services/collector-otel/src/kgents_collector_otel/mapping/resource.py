"""The attributes of a resource → the application that it is an instance of, and what that instance runs in."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import otel as attribute
from kgents_shared.contract.vocabulary.attributes.attribute import AttributeName

SERVICE_NAME: Final = "service.name"
SERVICE_NAMESPACE: Final = "service.namespace"

VALUE_CHARS: Final = 255
"""Of a name, a version or an id; a longer one is none."""

_PUBLISHED: Final[dict[str, AttributeName]] = {
    "service.version": attribute.SERVICE_VERSION,
    "deployment.environment.name": attribute.DEPLOYMENT_ENVIRONMENT_NAME,
    "deployment.environment": attribute.DEPLOYMENT_ENVIRONMENT_NAME,
    "telemetry.sdk.language": attribute.TELEMETRY_SDK_LANGUAGE,
}
"""What is published of a resource, its older names beside the newer. All else is left out."""
READ: Final = frozenset(
    {
        SERVICE_NAME,
        SERVICE_NAMESPACE,
        "container.id",
        "k8s.namespace.name",
        "k8s.pod.name",
        "k8s.pod.uid",
        *_PUBLISHED,
    }
)
"""The attributes of a resource that are read. No other one is decoded."""


KEY_BYTES: Final = 4_096
"""Of a resource by which it is remembered; of a longer one its digest is."""


def key_of(raw: bytes) -> bytes:
    """What a resource that is not decoded is remembered by."""
    return raw if len(raw) <= KEY_BYTES else blake2b(raw, digest_size=32).digest()


class Instance(Struct, frozen=True):
    """One instance of an application, as its resource describes it."""

    app: Ref
    attributes: Mapping[AttributeName, str]
    runs_in: str
    """An alias of the pod or container that it runs in, by an id, never by a host name; empty: not known."""
    k8s_namespace: str
    """In which a bare host name is one of its Services; empty: not known."""


def instance(attributes: Mapping[str, str], cluster: str) -> Instance | None:
    """The instance that these attributes of a resource, those of READ, describe; None without a name."""
    attributes = {key: value for key, value in attributes.items() if len(value) <= VALUE_CHARS}
    name = attributes.get(SERVICE_NAME, "")
    if not name:
        return None
    k8s_namespace = attributes.get("k8s.namespace.name", "")
    pod_uid, container_id = attributes.get("k8s.pod.uid", ""), attributes.get("container.id", "")
    runs_in = f"pod-uid:{pod_uid}" if pod_uid else f"container-id:{container_id}" if container_id else ""
    found = {published: attributes[read] for read, published in reversed(_PUBLISHED.items()) if attributes.get(read)}
    namespace = attributes.get(SERVICE_NAMESPACE) or k8s_namespace
    return Instance(Ref(cluster, kinds.APP, name, namespace), found, runs_in, k8s_namespace)
