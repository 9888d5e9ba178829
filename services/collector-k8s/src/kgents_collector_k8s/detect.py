"""Finds a login to a cluster: the pod's service account, or kubectl's kubeconfigs → Detected, and `login`."""

import os
from collections.abc import Mapping
from typing import Any, Final

from kgents_shared.kubernetes.kubeconfigs import (
    SERVICE_ACCOUNT,
    context_names,
    current_context,
    kubeconfig,
    kubeconfigs,
)
from kgents_shared.runtime.detect import Detected

_NEEDS: Final = "~/.kube/config, or KUBECONFIG, with a current context"


def detect(environ: Mapping[str, str]) -> list[Detected]:
    """The cluster that is collected when nothing is configured."""
    return [_detected(environ)]


def _detected(environ: Mapping[str, str]) -> Detected:
    if SERVICE_ACCOUNT.exists():
        return Detected("Kubernetes", "the service account of this pod")
    documents: list[Mapping[str, Any]] = []
    paths = kubeconfigs(environ)
    where = os.pathsep.join(map(str, paths))
    for path in paths:
        try:
            documents.append(kubeconfig(path))
        except ValueError:
            return Detected("Kubernetes", str(path), "it cannot be read", _NEEDS)
    name = current_context(documents)
    if not paths:
        return Detected("Kubernetes", needs=_NEEDS)
    if not name:
        return Detected("Kubernetes", where, "it has no current context", _NEEDS)
    if name not in context_names(documents):
        return Detected("Kubernetes", where, f"it has no context {name}", _NEEDS)
    return Detected("Kubernetes", f"{where} (context {name})")
