"""What a site is called by: its cluster, its services, their sources, and the secret that must not be published."""

from typing import Final

CLUSTER: Final = "test"
COLLECTORS: Final = ("collector-k8s", "collector-nats", "collector-db")
SERVICES: Final = (*COLLECTORS, "topology-builder", "health-scorer")
SOURCES: Final = {"collector-k8s": "k8s", "collector-nats": "nats", "collector-db": "db"}
READERS: Final = {"entity": "topology-builder", "topology": "health-scorer", "pulse": "health-scorer"}
"""Signal → the service that reads it, and must report what it cannot read."""
CANARY: Final = "kanarienvogel-7f3a"
"""Planted in every secret of the observed systems: no published byte may contain it."""

Key = tuple[str, str, str]
"""Kind, namespace and name."""
