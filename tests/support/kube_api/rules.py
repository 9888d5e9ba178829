"""What is refused of an object whatever its syntax: the schema of a custom resource, fields that never change.

Known from the validation of k8s.io/kubernetes: a StatefulSet changes in a few fields only; a claim never shrinks, and
grows only where its StorageClass lets it.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from support.kube_api.quantity import amount
from support.kube_api.resources import Resource
from support.kube_api.status import ApiError, Json, details_of, invalid

if TYPE_CHECKING:
    from support.kube_api.cluster import Cluster

CHANGEABLE: Final = {
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
}  # fmt: skip


class Rules:
    """Admission and validation."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster

    def admit(self, resource: Resource, new: Json, old: Json | None, *, is_strict: bool) -> Json:
        """The object as it is stored.

        Raises:
            ApiError: 400, 403 or 422.
        """
        if (definition := self._cluster.definitions.get(resource.name)) is not None:
            return definition.admit(new, old, is_strict=is_strict)
        if old is not None and resource.name == "statefulsets.apps":
            _check_statefulset(resource, new, old)
        if old is not None and resource.name == "persistentvolumeclaims":
            self._check_claim(new, old)
        return new

    def _check_claim(self, new: Json, old: Json) -> None:
        before, after = _size(old), _size(new)
        name = old["metadata"]["name"]
        if after < before:
            why = "Forbidden: field can not be less than status.capacity"
            raise invalid("PersistentVolumeClaim", name, "spec.resources.requests.storage", why)
        if after > before and not self._cluster.expands_volumes:
            why = (
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
                "support resize"
            )
            details = details_of("", "persistentvolumeclaims", name)
            raise ApiError(403, "Forbidden", f'persistentvolumeclaims "{name}" is forbidden: {why}', details=details)


def _check_statefulset(resource: Resource, new: Json, old: Json) -> None:
    kept = [{key: value for key, value in each.get("spec", {}).items() if key not in CHANGEABLE} for each in (new, old)]
    if kept[0] != kept[1]:
        names = "', '".join(sorted(CHANGEABLE))
        why = f"Forbidden: updates to statefulset spec for fields other than '{names}' are forbidden"
        raise invalid(resource.kind, old["metadata"]["name"], "spec", why, group=resource.group)


def _size(claim: Json) -> Decimal:
    return amount(claim["spec"].get("resources", {}).get("requests", {}).get("storage", "0"))
