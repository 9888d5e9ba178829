"""Documents of manifests → the objects that are compared: name, labels, images, replicas. Pure.

Nothing else of a manifest is kept, so that no value of a Secret or an environment variable can be printed.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from kgents_shared.contract.api_kinds import group_of, kind_of
from kgents_shared.contract.vocabulary import kinds

_NO_NAMESPACE: Final = frozenset({("", "Namespace"), ("", "Node"), ("", "PersistentVolume")})
"""Group and kind of what lives in no namespace, of the kinds that kgents shows."""
_TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    kinds.DEPLOYMENT: ("template",),
    kinds.REPLICASET: ("template",),
    kinds.STATEFULSET: ("template",),
    kinds.DAEMONSET: ("template",),
    kinds.JOB: ("template",),
    kinds.CRONJOB: ("jobTemplate", "spec", "template"),
}
"""Kind → where in its spec the template of its pods is."""
_DEPTH_MAX: Final = 8
"""Of lists within lists; kubectl writes one."""


class Manifest(msgspec.Struct, frozen=True):
    """What one manifest states of an object."""

    kind: str
    """Our name of the kind."""
    name: str
    """Empty: the server makes it (`generateName`)."""
    namespace: str
    labels: Mapping[str, str]
    images: Mapping[str, str] | None = None
    """Container → image, of what makes pods; None: it makes none."""
    replicas: int | None = None
    """None: not stated."""
    scales: tuple[str, str] | None = None
    """Of an autoscaler: kind and name of what it scales."""
    is_removed_when_done: bool = False
    """A Job that the cluster deletes some time after its end."""
    claims: tuple[str, ...] = ()
    """Of a StatefulSet: how the names of the claims begin that are made for its pods."""
    file: str = ""


def manifests(documents: Iterable[Any], *, namespace: str, file: str) -> list[Manifest]:
    """The objects of the documents of one file; those without `apiVersion` and `kind` are no manifests.

    Args:
        documents: what YAML parsed; lists (`kind: List`) are unfolded.
        namespace: of objects that name none.
        file: where they were read, for people.
    """
    return [_manifest(each, namespace, file) for document in documents for each in _objects(document, _DEPTH_MAX)]


def _objects(document: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    if not isinstance(document, Mapping):
        return
    kind = document.get("kind")
    if not isinstance(kind, str) or not isinstance(document.get("apiVersion"), str):
        return
    if kind.endswith("List") and isinstance(document.get("items"), list):
        if depth:
            for each in document["items"]:
                yield from _objects(each, depth - 1)
        return
    yield document


def _manifest(found: Mapping[str, Any], namespace: str, file: str) -> Manifest:
    group, api_kind = group_of(found["apiVersion"]), found["kind"]
    kind = kind_of(api_kind, group)
    metadata, spec = _mapping(found.get("metadata")), _mapping(found.get("spec"))
    replicas = spec.get("replicas")
    target = _mapping(spec.get("scaleTargetRef"))
    scaled = kind_of(_text(target.get("kind")), group_of(_text(target.get("apiVersion"))))
    return Manifest(
        kind,
        _text(metadata.get("name")),
        "" if (group, api_kind) in _NO_NAMESPACE else _text(metadata.get("namespace")) or namespace,
        {str(key): str(value) for key, value in _mapping(metadata.get("labels")).items()},
        _images(spec, _TEMPLATES[kind]) if kind in _TEMPLATES else None,
        replicas if isinstance(replicas, int) and not isinstance(replicas, bool) else None,
        (scaled, _text(target.get("name"))) if target else None,
        kind == kinds.JOB and spec.get("ttlSecondsAfterFinished") is not None,
        tuple(_claims(spec, _text(metadata.get("name")))),
        file,
    )


def _images(spec: Mapping[str, Any], place: tuple[str, ...]) -> dict[str, str]:
    for key in (*place, "spec"):
        spec = _mapping(spec.get(key))
    containers = (each for key in ("initContainers", "containers") for each in _list(spec.get(key)))
    named = (_mapping(each) for each in containers)
    return {_text(each.get("name")): _text(each.get("image")) for each in named if _text(each.get("image"))}


def _claims(spec: Mapping[str, Any], name: str) -> Iterator[str]:
    for each in _list(spec.get("volumeClaimTemplates")):
        yield f"{_text(_mapping(_mapping(each).get('metadata')).get('name'))}-{name}-"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
