"""Where kubectl's kubeconfigs are, and what they hold: the environment → paths → documents → contexts."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
"""The token of the pod that we run in."""


def kubeconfigs(environ: Mapping[str, str]) -> list[Path]:
    """The kubeconfigs that exist: all of KUBECONFIG's list, else the one in the home directory."""
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    given = [Path(path).expanduser() for path in environ.get("KUBECONFIG", "").split(os.pathsep) if path]
    return [path for path in given or [home / ".kube" / "config"] if path.exists()]


def current_context(documents: Iterable[Mapping[str, Any]]) -> str:
    """The current context of several kubeconfigs: the first that names one decides."""
    named = (str(document.get("current-context") or "") for document in documents)
    return next((name for name in named if name), "")


def context_names(documents: Iterable[Mapping[str, Any]]) -> list[str]:
    """The contexts of several kubeconfigs."""
    listed = (document.get("contexts") for document in documents)
    contexts = [each for found in listed if isinstance(found, list) for each in found]
    return [str(each.get("name")) for each in contexts if isinstance(each, dict)]


def kubeconfig(path: Path) -> Mapping[str, Any]:
    """What a kubeconfig holds.

    Raises:
        ValueError: it cannot be read. It may hold logins: nothing of it is quoted.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        raise ValueError(f"expected a kubeconfig, found another file at {path}") from None
    return document if isinstance(document, dict) else {}
