"""The settings of the operator: where it works, and the images of what it makes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta

from kgents_operator.images import Images
from kgents_shared.bus.files import unreadable
from kgents_shared.contract.section import Fault, Section

_NAMESPACE: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the operator works."""

    kubeconfig: str = ""
    """Path of a kubeconfig. Empty: the pod's own service account; outside of a cluster KUBECONFIG or ~/.kube/config."""

    context: str = ""
    """The context of the kubeconfig. Empty: its current one, as it is when the operator starts."""

    namespaces: list[str] = []
    """Only these namespaces, with a Role in each. Empty: all of them, with a ClusterRole."""

    lease_namespace: str = "kgents"
    """The namespace of the Lease by which one instance works at a time."""

    images: Images = Images()
    """The images of what it makes."""

    disruptions: bool = False
    """Whether Disruptions are carried out, which delete pods and cut networks on request. It needs the rights of
    `operator-disruptions-clusterrole.yaml` besides."""

    sweep_s: Annotated[float, Meta(ge=5)] = 600.0
    """Seconds between two comparisons of everything, beside those that changes cause."""

    def faults(self) -> Iterator[Fault]:
        for place, name in enumerate((*self.namespaces, self.lease_namespace)):
            at = f"namespaces[{place}]" if place < len(self.namespaces) else "lease_namespace"
            if not _NAMESPACE.fullmatch(name):
                yield Fault(at, "the name of a namespace", f'"{name}"', "try: kubectl get namespaces")
            elif name in self.namespaces[:place] and at != "lease_namespace":
                yield Fault(at, "each once", f"{name} twice", "remove one of them")

    def check(self) -> Iterator[Fault]:
        yield from unreadable("kubeconfig", self.kubeconfig or None, "a kubeconfig")

    @property
    def kubeconfig_path(self) -> Path | None:
        """The kubeconfig, if one is named."""
        return Path(self.kubeconfig).expanduser() if self.kubeconfig else None
