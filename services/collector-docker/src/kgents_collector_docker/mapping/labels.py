"""Labels to publish: all labels → those known to hold no secret, and those that an operator allows."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

KNOWN: Final = (
    *(f"com.docker.compose.{name}" for name in ("project", "service", "container-number", "oneoff", "network")),
    "com.docker.compose.volume",
    "com.docker.stack.namespace",
    "com.docker.swarm.service.name",
    "com.docker.swarm.task.name",
    *(f"io.kubernetes.pod.{name}" for name in ("name", "namespace", "uid")),
    "io.kubernetes.container.name",
    "io.kubernetes.docker.type",
    *(f"org.opencontainers.image.{name}" for name in ("title", "version", "revision", "vendor", "licenses")),
)
"""Labels that tools write. Compose's file paths and hashes are left out: they reveal much and are of no use."""
VALUE_CHARS_MAX: Final = 256

_SECRET_NAME: Final = re.compile(r"pass|pwd|secret|token|credential|private|api[-_.]?key|access[-_.]?key|auth", re.I)
_SECRET_VALUE: Final = re.compile(r"://[^/\s]*@|-----BEGIN |(?:pass|secret|token|key)[a-z_]*\s*[=:]", re.I)
"""A url with a login in it, a key, or an assignment of a secret."""


def shown(labels: Mapping[str, str], allowed: Iterable[str] = ()) -> dict[str, str]:
    """The labels that may be published, sorted by name."""
    patterns = tuple(allowed)
    return {
        name: value
        for name, value in sorted(labels.items())
        if (name in KNOWN or any(_matches(name, pattern) for pattern in patterns)) and not _is_secret(name, value)
    }


def _matches(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _is_secret(name: str, value: str) -> bool:
    return len(value) > VALUE_CHARS_MAX or bool(_SECRET_NAME.search(name) or _SECRET_VALUE.search(value))
