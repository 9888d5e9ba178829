"""All that is used of kubernetes-asyncio: kubeconfigs, login plugins, identity providers, the token of a pod.

Its packages import a class for each type of the API, some 770 modules, which cost more memory and time than all else
that the collector imports. None of them is needed for a login, so those packages wait until one is.
"""

# ruff: noqa: E402 - what is postponed must be so before it is imported
import sys

from kgents_shared.kubernetes.postponed import postpone

postpone("kubernetes_asyncio")
postpone("kubernetes_asyncio.client", ApiClient="api_client", Configuration="configuration")
postpone("kubernetes_asyncio.client.models")

from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import ConfigException, kube_config, load_incluster_config
from kubernetes_asyncio.config.exec_provider import ExecProvider
from kubernetes_asyncio.config.kube_config import ConfigNode, KubeConfigLoader, KubeConfigMerger

__all__ = [
    "ConfigException",
    "ConfigNode",
    "Configuration",
    "ExecProvider",
    "KubeConfigLoader",
    "KubeConfigMerger",
    "kube_config",
    "load_incluster_config",
    "models",
]


def models() -> int:
    """How many modules of the API's types are imported: none, unless another version needs them for a login."""
    return sum(name.startswith("kubernetes_asyncio.client.models.") for name in sys.modules)
