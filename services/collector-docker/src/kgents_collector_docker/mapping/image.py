"""Images that containers were made from → image entities, called by their ids."""

from typing import Final

from kgents_collector_docker.answers import Image, Inventory
from kgents_collector_docker.mapping.scope import SOURCE, Scope
from kgents_shared.contract.entity import Entity, Value
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import docker as attribute
from kgents_shared.contract.vocabulary.attributes import otel

KIND: Final = kinds.IMAGE


def entities(inventory: Inventory, scope: Scope) -> list[Entity]:
    """One entity for each image in use."""
    return [_entity(id_, image, scope) for id_, image in inventory.images.items()]


def short(id_: str) -> str:
    """Its name: the first twelve digits of its id, as the `docker` command shows them.

    A tag is no name, since it moves from image to image.
    """
    return id_.rpartition(":")[2][:12]


def split(reference: str) -> tuple[str, str]:
    """An image reference → repository and tag: `registry:5000/shop/cart:1.2@sha256:…` → (`registry:5000/…`, `1.2`)."""
    reference = reference.partition("@")[0]
    repository, colon, tag = reference.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (reference, "")


def _entity(id_: str, image: Image, scope: Scope) -> Entity:
    tags = sorted(image.repo_tags or [])
    given: dict[str, Value] = {
        otel.CONTAINER_IMAGE_ID: image.id,
        otel.CONTAINER_IMAGE_NAME: split(tags[0])[0] if tags else None,
        otel.CONTAINER_IMAGE_TAGS: sorted({split(tag)[1] for tag in tags} - {""}) or None,
        otel.CONTAINER_IMAGE_REPO_DIGESTS: sorted(image.repo_digests or []) or None,
        otel.HOST_ARCH: image.architecture or None,
        otel.OS_TYPE: image.os or None,
        attribute.IMAGE_SIZE_BYTES: image.size or None,
    }
    return Entity(
        ref=scope.ref(KIND, short(id_)),
        source=SOURCE,
        uid=id_,  # as its containers name it; not every engine gives the same name in its answer
        status="running",
        attributes={key: value for key, value in given.items() if value is not None},
        connections=[scope.runs_on("images")],
    )
