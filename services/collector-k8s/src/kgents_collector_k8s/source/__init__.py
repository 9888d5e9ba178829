"""How the collector reads a cluster: the client and the reflectors that it shares with the operator."""

from typing import TypeVar

from kgents_collector_k8s.mapping.fragment import Kind
from kgents_shared.kubernetes import reflector
from kgents_shared.kubernetes.client import ApiClient
from kgents_shared.kubernetes.error import UNREADABLE, ApiError
from kgents_shared.kubernetes.probe import Probe
from kgents_shared.kubernetes.sink import Key, Sink

O = TypeVar("O")  # noqa: E741 - an object of the Kubernetes API


class Reflector(reflector.Reflector[O]):
    """Of a kind that is mapped to entities."""

    kind: Kind[O]


__all__ = ["UNREADABLE", "ApiClient", "ApiError", "Key", "Probe", "Reflector", "Sink"]
