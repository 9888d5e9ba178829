"""What every pod of ours has in common: the restricted profile, and no more than it needs. Pure."""

from typing import Any, Final

Json = dict[str, Any]

POSTGRES_UID: Final = 999
"""The user postgres of the image."""
REDIS_UID: Final = 999
"""The user of the images of Valkey and Redis."""
QDRANT_UID: Final = 1000
"""The user of the unprivileged image of Qdrant."""
POOLER_UID: Final = 998
"""The user pgbouncer of the image."""
EXPORTER_UID: Final = 65534
"""A user without a name."""


def container(name: str, image: str, **more: Any) -> Json:
    """A container without rights, that cannot write its image."""
    security = {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    return {"name": name, "image": image, "securityContext": security} | more


def pod(uid: int, containers: list[Json], volumes: list[Json], **more: Any) -> Json:
    """The specification of a pod of the restricted profile."""
    security = {
        "runAsNonRoot": True, "runAsUser": uid, "runAsGroup": uid, "fsGroup": uid,
        "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": security,
        "containers": containers,
        "volumes": volumes,
    } | more


def secret(volume: str, name: str, *keys: str) -> Json:
    """A volume of a Secret, readable for the pod's user alone; keys: only these of it."""
    items = {"items": [{"key": key, "path": key} for key in keys]} if keys else {}
    return {"name": volume, "secret": {"secretName": name, "defaultMode": 0o440, **items}}


def config(volume: str, name: str) -> Json:
    """A volume of a ConfigMap."""
    return {"name": volume, "configMap": {"name": name}}


def mount(volume: str, path: str, *, writable: bool = False) -> Json:
    """Where a volume is."""
    return {"name": volume, "mountPath": path} | ({} if writable else {"readOnly": True})


def text(name: str, value: str) -> Json:
    """A variable of the environment."""
    return {"name": name, "value": value}


def from_secret(name: str, secret_name: str, key: str) -> Json:
    """A variable that only the process sees, for programs that read no file."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret_name, "key": key}}}
