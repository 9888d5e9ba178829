"""How the collector reads a cluster: login → client (HTTP) → reflector (list and watch) → a sink that keeps objects."""

from kgents_collector_k8s.source.client import ApiClient
from kgents_collector_k8s.source.error import UNREADABLE, ApiError
from kgents_collector_k8s.source.probe import Probe
from kgents_collector_k8s.source.reflector import Reflector
from kgents_collector_k8s.source.sink import Key, Sink

__all__ = ["UNREADABLE", "ApiClient", "ApiError", "Key", "Probe", "Reflector", "Sink"]
