"""Which subject answers which question."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kgents_gateway.questions import QUESTIONS
from kgents_shared.contract import subjects
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures import resource

INFRA, V1 = subjects.QUESTIONS
SUBJECTS: Final = (f"{INFRA}.>", f"{V1}.>")
"""What they all begin with."""


class Path(msgspec.Struct, frozen=True):
    """One subject."""

    subject: str
    question: str
    fixed: Mapping[str, Any] = {}
    """Arguments that the subject stands for."""

    @property
    def name(self) -> str:
        """As an endpoint, whose names have no dots."""
        return self.subject.partition(".")[2].replace(".", "-")


_K8S: Final = {"sources": ["k8s"]}
_DOCKER: Final = {"sources": ["docker"]}

_MISSION: Final[dict[str, tuple[str, Mapping[str, Any]]]] = {
    "topology": ("topology", {}),
    "topology.filter": ("topology", {}),
    "topology.diff": ("diff", {}),
    "k8s.namespaces": ("topology", {"kinds": [kinds.NAMESPACE], **_K8S}),
    "k8s.pods": ("topology", {"kinds": [kinds.POD], **_K8S}),
    "k8s.services": ("topology", {"kinds": [kinds.SERVICE], **_K8S}),
    "k8s.deployments": ("topology", {"kinds": [kinds.DEPLOYMENT], **_K8S}),
    "k8s.events": ("follow", {"signal": "event", "source": "k8s"}),
    "docker.containers": ("topology", {"kinds": [kinds.CONTAINER], **_DOCKER}),
    "docker.networks": ("topology", {"kinds": [kinds.NETWORK], **_DOCKER}),
    "docker.stats": ("metrics.last", {"kinds": [kinds.CONTAINER], **_DOCKER}),
    "nats.subjects": ("topology", {"kinds": [kinds.NATS_SUBJECT]}),
    "nats.streams": ("topology", {"kinds": [kinds.NATS_STREAM]}),
    "nats.messages": ("follow", {}),
    "metrics.cpu": ("metrics.last", {"metrics": [resource.CPU_PERCENT]}),
    "metrics.memory": ("metrics.last", {"metrics": [resource.MEMORY_BYTES, resource.MEMORY_LIMIT_BYTES]}),
    "metrics.network": ("metrics.last", {"metrics": [resource.NETWORK_RX_BYTES, resource.NETWORK_TX_BYTES]}),
    "metrics.custom": ("metrics.last", {}),
    "health.score": ("entity.health", {}),
    "health.alerts": ("alerts", {}),
    "health.history": ("entity.history", {}),
    "health.incidents": ("incidents", {}),
}
"""The paths of the project's mission."""

PATHS: Final = (
    *(Path(f"{INFRA}.{path}", question, fixed) for path, (question, fixed) in _MISSION.items()),
    *(Path(f"{V1}.{question}", question) for question in QUESTIONS),
)
