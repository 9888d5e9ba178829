"""Manifests and the live topology of one cluster → what is missing, extra or different, and what is not known. Pure.

Only what a manifest states is compared: what the server, a controller or an admission webhook adds is no drift. What is
not observed is `unknown`, never `missing`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec

from kgents_shared.contract.api_kinds import OURS
from kgents_shared.contract.entity import Ref, Value
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes, otel
from kgents_shared.kubernetes.desired.manifests import Manifest
from kgents_shared.view.find import path_of

State = Literal["missing", "extra", "different", "unknown", "not compared", "in line"]

SOURCE: Final = "k8s"
MARKS: Final = (
    "app.kubernetes.io/instance",
    "argocd.argoproj.io/instance",
    "kustomize.toolkit.fluxcd.io/name",
    "app.kubernetes.io/part-of",
)
"""Labels that say to which set of manifests an object belongs; the first that any manifest has counts."""
_ORDER: Final[tuple[State, ...]] = ("missing", "extra", "different", "unknown", "not compared", "in line")
_NEVER_READ: Final = frozenset({kinds.CONFIGMAP, kinds.SECRET})
"""kgents knows of these what refers to them, and never whether they exist."""
_READ: Final = OURS - _NEVER_READ - {"endpointslice", "replicaset"}
"""Kinds that collector-k8s shows unless it is set to leave them out."""
_DESIRED: Final[Mapping[str, str]] = {
    kinds.DEPLOYMENT: otel.K8S_DEPLOYMENT_DESIRED_PODS,
    kinds.REPLICASET: otel.K8S_REPLICASET_DESIRED_PODS,
    kinds.STATEFULSET: otel.K8S_STATEFULSET_DESIRED_PODS,
}
_STALE: Final = f"stale: no report from {SOURCE}"
_HASHES: Final = ("pod-template-hash", "controller-revision-hash")
"""Labels of controllers, which the topology leaves out."""
_REGISTRY: Final = ("docker.io/library/", "docker.io/", "index.docker.io/library/", "index.docker.io/")


class FieldDrift(msgspec.Struct, frozen=True):
    """One field that differs."""

    field: str
    """`image cart`, `replicas`, `label team`."""
    desired: str | int
    live: str | int | None
    """None: it is absent."""


class Finding(msgspec.Struct, frozen=True):
    """The verdict on one object."""

    state: State
    ref: Ref
    why: str = ""
    """One sentence; empty where the fields say it."""
    fields: list[FieldDrift] = []
    file: str = ""
    """Where its manifest is; empty for what has none."""


class Observed(msgspec.Struct, frozen=True):
    """What is known of one object."""

    ref: Ref
    labels: Mapping[str, str] = {}
    attributes: Mapping[str, Value] = {}
    cut: Sequence[str] = ()
    """What its message leaves out, as in `Entity.cut`."""
    is_stale: bool = False
    """Whether it was read once and is not attested now."""
    is_owned: bool = False
    """Whether another object owns it."""
    scales: tuple[Ref | str, ...] = ()
    """Of an autoscaler: what it scales."""


class Live(msgspec.Struct, frozen=True):
    """What is known of one cluster."""

    cluster: str
    objects: Mapping[Ref, Observed]
    unread: Callable[[Ref], str]
    """Why nothing is attested of an object of this name; empty: its source is read."""

    def ref(self, manifest: Manifest) -> Ref:
        """The name that an object of this manifest has."""
        namespaced = Ref(self.cluster, manifest.kind, manifest.name, manifest.namespace)
        bare = Ref(self.cluster, manifest.kind, manifest.name)
        # Of a custom kind only the cluster knows whether its objects have a namespace.
        is_bare = manifest.kind not in OURS and namespaced not in self.objects and bare in self.objects
        return bare if is_bare else namespaced


def drift(desired: Sequence[Manifest], live: Live) -> list[Finding]:
    """A finding for each manifest, and for each object that belongs to them and has none; the worst first."""
    count = Counter(live.ref(each) for each in desired if each.name)
    found = [_compared(each, live, desired, is_twice=count[live.ref(each)] > 1) for each in desired]
    found += _extra(desired, live)
    return sorted(found, key=lambda each: (_ORDER.index(each.state), each.ref))


def _compared(manifest: Manifest, live: Live, desired: Sequence[Manifest], *, is_twice: bool) -> Finding:
    ref = live.ref(manifest)
    if is_twice:
        return Finding("unknown", ref, "more than one manifest states this object", file=manifest.file)
    state, why = _presence(manifest, ref, live)
    if state != "in line":
        return Finding(state, ref, why, file=manifest.file)
    observed = live.objects[ref]
    fields = list(_fields(manifest, observed))
    doubts: list[FieldDrift] = []
    for each, doubt in _scalable(manifest, observed, live, desired):
        (doubts if doubt else fields).append(each)
        why = doubt or why
    if fields:
        return Finding("different", ref, why, fields, manifest.file)
    if doubts or (why := _unstated(manifest, observed)):
        return Finding("unknown", ref, why, doubts, manifest.file)
    return Finding("in line", ref, file=manifest.file)


def _presence(manifest: Manifest, ref: Ref, live: Live) -> tuple[State, str]:
    """Whether the object is there, as far as that can be known."""
    if not manifest.name:
        return "not compared", "the server makes its name (generateName)"
    if manifest.kind in _NEVER_READ:
        return "not compared", f"kgents never reads a {manifest.kind}"
    if (observed := live.objects.get(ref)) is not None:
        return ("unknown", _STALE) if observed.is_stale else ("in line", "")
    return _absence(manifest, ref, live)


def _absence(manifest: Manifest, ref: Ref, live: Live) -> tuple[State, str]:
    """What it means that nothing of this name is published."""
    if why := live.unread(ref):
        return "unknown", why
    if not any(each.kind == manifest.kind for each in live.objects):
        if manifest.kind not in _READ:
            return "not compared", "kgents does not read this kind here"
        return "unknown", f"no {manifest.kind} of this cluster is observed; collector-k8s may be set to leave it out"
    if manifest.namespace and not _knows_namespace(manifest.namespace, live):
        return "unknown", f"namespace {manifest.namespace} is not observed"
    if manifest.is_removed_when_done:
        return "not compared", "the cluster removes this Job after its end"
    return "missing", "no such object in the cluster"


def _knows_namespace(namespace: str, live: Live) -> bool:
    """Whether an absence means something: it is observed, or all namespaces are and it is not among them."""
    return any(each.namespace == namespace or each.kind == kinds.NAMESPACE for each in live.objects)


def _fields(manifest: Manifest, found: Observed) -> Iterator[FieldDrift]:
    live = _images(found)
    for container, image in (manifest.images or {}).items():
        if live is not None and _spelled(live.get(container, "")) != _spelled(image):
            yield FieldDrift(f"image {container}", image, live.get(container))
    if not _is_cut(found, "labels"):
        for key, value in manifest.labels.items():
            if found.labels.get(key) != value and key not in _HASHES:
                yield FieldDrift(f"label {key}", value, found.labels.get(key))


def _scalable(
    manifest: Manifest, found: Observed, live: Live, desired: Sequence[Manifest]
) -> Iterator[tuple[FieldDrift, str]]:
    """Its replicas, if they differ and no autoscaler decides them; with the reason, if that cannot be known."""
    name = _DESIRED.get(manifest.kind)
    replicas = found.attributes.get(name) if name is not None else None
    if manifest.replicas is None or not isinstance(replicas, int) or replicas == manifest.replicas:
        return
    target = (manifest.kind, manifest.name)
    if any(each.scales == target and each.namespace == manifest.namespace for each in desired):
        return
    if any(found.ref in each.scales for each in live.objects.values()):
        return
    hidden = live.unread(Ref(live.cluster, kinds.HPA, "", found.ref.namespace))
    doubt = "whether an autoscaler decides its replicas is not known" if hidden else ""
    yield FieldDrift("replicas", manifest.replicas, replicas), doubt


def _unstated(manifest: Manifest, found: Observed) -> str:
    """What the topology does not hold although the manifest states it; empty: nothing."""
    if manifest.images and _images(found) is None:
        return "its images are not known; they are with a collector-k8s of this version"
    if manifest.labels and _is_cut(found, "labels"):
        return "its message is cut, so its labels are not known"
    return ""


def _images(found: Observed) -> dict[str, str] | None:
    stated = found.attributes.get(kubernetes.WORKLOAD_IMAGES)
    if not isinstance(stated, list):
        return None
    return dict(each.split("=", 1) for each in stated)


def _is_cut(found: Observed, field: str) -> bool:
    return any(each.startswith(field) for each in found.cut)


def _spelled(image: str) -> str:
    """An image reference in one spelling: without the default registry, with the default tag."""
    for prefix in _REGISTRY:
        if image.startswith(prefix):
            image = image.removeprefix(prefix)
            break
    is_tagged = "@" in image or ":" in image.rpartition("/")[2]
    return image if is_tagged or not image else f"{image}:latest"


def _extra(desired: Sequence[Manifest], live: Live) -> Iterator[Finding]:
    mark = next((label for label in MARKS if any(label in each.labels for each in desired)), None)
    if mark is None:
        return
    values = {each.labels[mark] for each in desired if mark in each.labels}
    places = {(each.kind, each.namespace) for each in desired}
    stated = {live.ref(each) for each in desired}
    for ref, found in live.objects.items():
        if (ref.kind, ref.namespace) not in places or ref in stated or ref.kind in _NEVER_READ:
            continue
        if found.labels.get(mark) not in values or found.is_owned or _is_claim_of(ref, desired):
            continue
        why = f"no manifest states it, and it has the label {mark}={found.labels[mark]}"
        yield Finding("unknown", ref, _STALE) if found.is_stale else Finding("extra", ref, why)


def _is_claim_of(ref: Ref, desired: Iterable[Manifest]) -> bool:
    """Whether a claim was made for a pod of a StatefulSet: it outlives the pod, and so has no owner."""
    names = (claim for each in desired if each.namespace == ref.namespace for claim in each.claims)
    return ref.kind == kinds.VOLUME and any(ref.name.startswith(each) for each in names)


def unmarked(desired: Iterable[Manifest]) -> bool:
    """Whether no manifest has a label by which an object without a manifest could be recognised."""
    return not any(label in each.labels for each in desired for label in MARKS)


def sentence(found: Finding) -> str:
    """What differs, or why it is not known."""
    parts = [f"{each.field}: expected {each.desired}, found {_absent(each.live)}" for each in found.fields]
    return "; ".join([*parts, *([found.why] if found.why else [])])


def _absent(value: str | int | None) -> str:
    return "none" if value is None else str(value)


def name_of(found: Finding) -> str:
    """The name that other commands take."""
    return path_of(found.ref) if found.ref.name else f"{found.ref.kind}/{found.ref.namespace}"
