"""The login: a kubeconfig, or the service account of a pod → what each request must carry.

kubernetes-asyncio reads tokens, certificates, OIDC and the rotating token of a pod. What it lacks is done here,
as kubectl does it: the current context out of several files, impersonation, the input of login plugins.
"""

import base64
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from msgspec import Struct

from kgents_shared.bus.deadline import Deadline
from kgents_shared.contract.errors import ConfigError
from kgents_shared.kubernetes.kubeconfigs import SERVICE_ACCOUNT, current_context, kubeconfigs
from kgents_shared.kubernetes.library import (
    ConfigNode,
    Configuration,
    KubeConfigLoader,
    KubeConfigMerger,
    load_incluster_config,
)
from kgents_shared.kubernetes.plugin import CLUSTER, PluginError
from kgents_shared.kubernetes.plugin import install as install_plugins
from kgents_shared.runtime.config import process_environ

LOGIN_S: Final = 60.0
"""Seconds for a whole login, which may call an identity provider or a plugin."""

_GIVEN: Final = (
    "server",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "certificate-authority-data",
    "proxy-url",
    "disable-compression",
)
"""What a plugin may ask to know about the cluster; same names in the kubeconfig and in an ExecCredential."""
_PLUGIN_EXTENSION: Final = "client.authentication.k8s.io/exec"
_LEGAL_IN_HEADERS: Final = "!#$&'*+-.^_`|~"

install_plugins()
# It logs the output of login plugins, and parts of a kubeconfig with tokens in it. Failures are logged here instead.
logging.getLogger("kubernetes_asyncio").setLevel(logging.CRITICAL + 1)


class Credentials(Struct, frozen=True):
    """A login read from a kubeconfig or a service account."""

    configuration: Configuration
    context: str
    """The context it belongs to; empty: the service account of the pod."""
    headers: tuple[tuple[str, str], ...] = ()
    """Headers of impersonation."""


async def read_credentials(kubeconfig: Path | None, context: str) -> Credentials:
    """Read a login.

    Args:
        kubeconfig: none: the pod's service account, or where there is none, the user's own kubeconfig.
        context: empty: the current one.

    Raises:
        ConfigError: there is no login, or it cannot be used.
    """
    configuration = Configuration()
    if kubeconfig is None and SERVICE_ACCOUNT.exists():
        if context:
            fault = f"context: expected a kubeconfig beside {context!r}, found the pod's service account alone"
            raise ConfigError([f"{fault}; try kubeconfig"])
        with usable_login(SERVICE_ACCOUNT):
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return Credentials(configuration, "")
    with usable_login(kubeconfig):
        content, current = _merged([kubeconfig] if kubeconfig is not None else _of_kubectl())
        context = context or current
        user, cluster = _chosen(content, context)
        _prepare_plugin(user, cluster)
        loader = KubeConfigLoader(content, active_context=context, config_base_path=None)  # that of each file
        async with Deadline(LOGIN_S):
            await loader.load_and_set(configuration)
        return Credentials(configuration, context, _impersonation(user.value))


@contextmanager
def usable_login(kubeconfig: Path | None) -> Iterator[None]:
    """Report an unusable file by its path: the library's own error texts may hold tokens."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - there is no end of what it raises: KeyError, YAMLError, SSLError, …
        where = kubeconfig or "KUBECONFIG or ~/.kube/config"
        found = str(error) if isinstance(error, PluginError) else type(error).__name__
        fault = f"kubeconfig: expected a usable login in {where}, found: {found}; try `kubectl config view`"
        raise ConfigError([fault]) from None


def _of_kubectl() -> list[Path]:
    environ = process_environ()
    if paths := kubeconfigs(environ):
        return paths
    where = environ.get("KUBECONFIG") or "~/.kube/config"
    raise ConfigError([f"kubeconfig: expected a kubeconfig, found none at {where}; try kubeconfig"])


def _merged(paths: list[Path]) -> tuple[ConfigNode, str]:
    """One or several kubeconfigs as one, and its current context: the first file that has a setting decides."""
    merger = KubeConfigMerger(os.pathsep.join(map(str, paths)))
    if merger.config is None:
        raise ConfigError([f"kubeconfig: expected a kubeconfig, found none at {paths[0]}; try kubeconfig"])
    return merger.config, current_context(merger.config_files[path] for path in merger.paths)


def _chosen(content: ConfigNode, context: str) -> tuple[ConfigNode, Any]:
    """The user and the cluster of a context. A context may have no user."""
    chosen = content["contexts"].get_with_name(context, safe=True)
    if chosen is None:
        names = ", ".join(sorted(str(each["name"]) for each in content.value["contexts"])) or "those in a kubeconfig"
        raise ConfigError([f"context: expected one of {names}, found {repr(context) if context else 'none'}"])
    user = content["users"].get_with_name(chosen["context"].safe_get("user"), safe=True)
    found = ConfigNode("user", user.safe_get("user") or {}, user.path) if user is not None else ConfigNode("user", {})
    return found, content["clusters"].get_with_name(chosen["context"]["cluster"])


def _prepare_plugin(user: ConfigNode, cluster: ConfigNode) -> None:
    """Resolve a relative command against its kubeconfig's folder, and add what a plugin may ask about the cluster."""
    plugin = user.value.get("exec")
    if not plugin:
        return
    command = str(plugin["command"])
    if os.sep in command:
        plugin["command"] = str(_beside(user.path, command))
    if plugin.get("provideClusterInfo"):
        plugin[CLUSTER] = _given(cluster)


def _given(cluster: ConfigNode) -> dict[str, Any]:
    known = cluster.value["cluster"]
    given = {name: known[name] for name in _GIVEN if name in known}
    if "certificate-authority" in known and "certificate-authority-data" not in known:
        authority = _beside(cluster.path, known["certificate-authority"]).read_bytes()
        given["certificate-authority-data"] = base64.b64encode(authority).decode()
    for each in known.get("extensions") or ():
        if each["name"] == _PLUGIN_EXTENSION:
            given["config"] = each["extension"]
    return given


def _beside(kubeconfig: str | None, path: str) -> Path:
    return Path(kubeconfig or "").absolute().parent / path


def _impersonation(user: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The headers that impersonate another user.

    Raises:
        ConfigError: groups or extra fields are given without a user.
    """
    rest = [name for name in ("as-uid", "as-groups", "as-user-extra") if user.get(name)]
    if not user.get("as"):
        if rest:
            raise ConfigError([f"kubeconfig: expected `as` beside `{rest[0]}`, found no user to impersonate"])
        return ()
    headers = [("Impersonate-User", str(user["as"]))]
    if user.get("as-uid"):
        headers.append(("Impersonate-Uid", str(user["as-uid"])))
    headers += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or ()]
    for key, values in (user.get("as-user-extra") or {}).items():
        headers += [(f"Impersonate-Extra-{quote(key, safe=_LEGAL_IN_HEADERS)}", str(value)) for value in values]
    return tuple(headers)
