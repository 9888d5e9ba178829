"""Volumes: PersistentVolumeClaim and PersistentVolume."""

from kgents_collector_k8s.objects.metadata import Condition, Lean, Metadata, ObjectReference
from kgents_collector_k8s.objects.pod import Resources


class ClaimSpec(Lean, frozen=True):
    """The desired storage."""

    volume_name: str = ""
    storage_class_name: str | None = None
    access_modes: list[str] | None = None
    volume_mode: str = ""
    resources: Resources = Resources()


class ClaimStatus(Lean, frozen=True):
    """`Pending`, `Bound` or `Lost`."""

    phase: str = ""
    capacity: dict[str, str] | None = None
    conditions: list[Condition] | None = None


class PersistentVolumeClaim(Lean, frozen=True):
    """`v1` PersistentVolumeClaim."""

    metadata: Metadata
    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus = ClaimStatus()


class CSI(Lean, frozen=True, gc=False):
    """A volume as its driver describes it."""

    driver: str = ""
    volume_handle: str = ""


class Backing(Lean, frozen=True, gc=False):
    """Storage of another type: only that it is used is read."""


class VolumeSpec(Lean, frozen=True):
    """A volume as it was created."""

    capacity: dict[str, str] | None = None
    access_modes: list[str] | None = None
    volume_mode: str = ""
    storage_class_name: str = ""
    persistent_volume_reclaim_policy: str = ""
    claim_ref: ObjectReference | None = None
    csi: CSI | None = None
    nfs: Backing | None = None
    local: Backing | None = None
    host_path: Backing | None = None


class VolumeStatus(Lean, frozen=True, gc=False):
    """`Pending`, `Available`, `Bound`, `Released` or `Failed`."""

    phase: str = ""
    reason: str = ""


class PersistentVolume(Lean, frozen=True):
    """`v1` PersistentVolume."""

    metadata: Metadata
    spec: VolumeSpec = VolumeSpec()
    status: VolumeStatus = VolumeStatus()
