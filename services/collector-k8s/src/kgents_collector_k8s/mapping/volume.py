"""Volumes: PersistentVolumeClaim (has a namespace) and PersistentVolume (has none) → volume entities."""

from typing import Final

from msgspec import structs

from kgents_collector_k8s.mapping.entity import Attributes, entity
from kgents_collector_k8s.mapping.fragment import Fragment, Kind, Scope
from kgents_collector_k8s.objects.metadata import holds
from kgents_collector_k8s.objects.storage import PersistentVolume, PersistentVolumeClaim, VolumeSpec
from kgents_shared.contract.entity import Connection, Ref
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute
from kgents_shared.contract.vocabulary.attributes import otel
from kgents_shared.kubernetes.quantity import integer

_CLAIM: Final = {"Bound": "running", "Pending": "pending", "Lost": "failed"}
_VOLUME: Final = {
    "Available": "running",
    "Bound": "running",
    "Released": "running",
    "Pending": "pending",
    "Failed": "failed",
}
_CLAIMS: Final = "persistentvolumeclaims"
_VOLUMES: Final = "persistentvolumes"
"""Both are of one kind: each names its resource, so that one can be read while the other cannot."""
_RESIZING: Final = ("ControllerResizeError", "NodeResizeError", "FileSystemResizePending", "Resizing")
"""Conditions of a claim that is being resized, or whose resize failed."""


def claim(found: PersistentVolumeClaim, scope: Scope) -> Fragment:
    """A claim, with its volume once it has one."""
    metadata, spec, phase = found.metadata, found.spec, found.status.phase
    resizing = next((each for each in _RESIZING if holds(found.status.conditions, each)), "")
    attributes: Attributes = {
        otel.K8S_PERSISTENTVOLUMECLAIM_UID: metadata.uid,
        otel.K8S_PERSISTENTVOLUMECLAIM_NAME: metadata.name,
        otel.K8S_PERSISTENTVOLUMECLAIM_STATUS_PHASE: phase,
        attribute.PERSISTENTVOLUMECLAIM_ACCESS_MODES: sorted(spec.access_modes or ()),
        attribute.PERSISTENTVOLUMECLAIM_VOLUME_MODE: spec.volume_mode,
        otel.K8S_PERSISTENTVOLUMECLAIM_STORAGE_REQUEST: integer((spec.resources.requests or {}).get("storage")),
        otel.K8S_PERSISTENTVOLUMECLAIM_STORAGE_CAPACITY: integer((found.status.capacity or {}).get("storage")),
        otel.K8S_STORAGECLASS_NAME: spec.storage_class_name,
    }
    itself = entity(
        metadata,
        kinds.VOLUME,
        scope,
        status=(_CLAIM.get(phase, "unknown"), "Lost" if phase == "Lost" else resizing),
        attributes=attributes,
        connections=[_bound(spec.volume_name, scope)] if spec.volume_name else [],
    )
    return Fragment(metadata.uid, [structs.replace(itself, part=_CLAIMS)])


def _bound(volume: str, scope: Scope) -> Connection:
    return Connection(kind=edges.VOLUME, peer=Ref(scope.cluster, kinds.VOLUME, volume), evidence="spec.volumeName")


def volume(found: PersistentVolume, scope: Scope) -> Fragment:
    """A volume. Its claim names it, so it does not name its claim."""
    metadata, spec, status = found.metadata, found.spec, found.status
    attributes: Attributes = {
        otel.K8S_PERSISTENTVOLUME_UID: metadata.uid,
        otel.K8S_PERSISTENTVOLUME_NAME: metadata.name,
        otel.K8S_PERSISTENTVOLUME_STATUS_PHASE: status.phase,
        attribute.PERSISTENTVOLUME_ACCESS_MODES: sorted(spec.access_modes or ()),
        attribute.PERSISTENTVOLUME_VOLUME_MODE: spec.volume_mode,
        otel.K8S_PERSISTENTVOLUME_RECLAIM_POLICY: spec.persistent_volume_reclaim_policy,
        otel.K8S_PERSISTENTVOLUME_STORAGE_CAPACITY: integer((spec.capacity or {}).get("storage")),
        attribute.PERSISTENTVOLUME_CSI_DRIVER: spec.csi.driver if spec.csi is not None else None,
        attribute.PERSISTENTVOLUME_CSI_VOLUME_HANDLE: spec.csi.volume_handle if spec.csi is not None else None,
        otel.K8S_VOLUME_TYPE: _type(spec),
        otel.K8S_STORAGECLASS_NAME: spec.storage_class_name,
    }
    word = status.reason or status.phase
    reason = word if status.phase in ("Released", "Failed") else ""
    itself = entity(
        metadata,
        kinds.VOLUME,
        scope,
        status=(_VOLUME.get(status.phase, "unknown"), reason),
        attributes=attributes,
    )
    return Fragment(metadata.uid, [structs.replace(itself, part=_VOLUMES)])


def _type(spec: VolumeSpec) -> str | None:
    backings = {"csi": spec.csi, "nfs": spec.nfs, "local": spec.local, "hostPath": spec.host_path}
    return next((name for name, found in backings.items() if found is not None), None)


CLAIM: Final = Kind(kinds.VOLUME, "PersistentVolumeClaim", "", "v1", _CLAIMS, PersistentVolumeClaim, claim)
VOLUME: Final = Kind(
    kinds.VOLUME, "PersistentVolume", "", "v1", _VOLUMES, PersistentVolume, volume, is_namespaced=False
)
