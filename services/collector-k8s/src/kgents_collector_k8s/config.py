"""What this collector is told: read by `runtime.config` before the cluster is asked anything."""

import re
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from kgents_collector_k8s.mapping import CATALOGUE
from kgents_collector_k8s.mapping.custom import CustomRule
from kgents_collector_k8s.mapping.custom import kind as kind_by
from kgents_collector_k8s.mapping.fragment import Kind

Count = Annotated[int, Meta(ge=1)]


_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""What Kubernetes takes for the name of a namespace."""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which cluster, and what of it."""

    kubeconfig: str = ""
    """Path of a kubeconfig. Empty: the pod's own service account; outside of a cluster KUBECONFIG or ~/.kube/config."""

    context: str = ""
    """The context of the kubeconfig. Empty: its current one, as it is when the collector starts."""

    namespaces: list[str] = []
    """Only these namespaces, with a Role in each. Empty: all of them, and what belongs to none, with a ClusterRole."""

    label_selector: str = ""
    """Only workloads, pods, Services and Ingresses with these labels, as `kubectl -l` takes them: `team=a,tier!=b`."""

    resources: list[str] = []
    """Only these resources, by their plural (`pods`, `deployments`). Empty: all that are known.

    Some tell what joins others: `replicasets` the Deployment of a pod, `endpointslices` the pods of a Service.
    """

    custom: list[CustomRule] = []
    """Custom resources, and how they are shown."""

    max_objects: Count = 200_000
    """Objects of one resource. For what is beyond stands one entity named `overflow`; its pulse says how many."""

    events: bool = True
    """Whether Kubernetes Events are published."""

    metrics_interval_s: Annotated[float, Meta(ge=10)] = 30.0
    """Seconds between two looks at metrics.k8s.io; metrics-server itself measures every 15 s."""

    def __post_init__(self) -> None:
        known = {kind.resource for kind in CATALOGUE}
        if unknown := [name for name in self.resources if name not in known]:
            raise ValueError(f"resources: expected some of {', '.join(sorted(known))}, found {', '.join(unknown)}")
        if self.kubeconfig and not Path(self.kubeconfig).expanduser().is_file():
            raise ValueError(f"kubeconfig: expected a file, found none at {self.kubeconfig}; try an absolute path")

        self._check_namespaces()
        names = [kind_by(rule).kind for rule in self.custom]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"custom: expected a kind of its own for each rule, found {', '.join(twice)} twice; set kind"
            )

    def _check_namespaces(self) -> None:
        """A name that no namespace can have is answered with an empty list, as if all were well."""
        if odd := [name for name in self.namespaces if not _LABEL.fullmatch(name)]:
            fault = f"namespaces: expected names of namespaces, found {', '.join(map(repr, odd))}"
            raise ValueError(f"{fault}; try an empty list for all of them")
        if twice := sorted({name for name in self.namespaces if self.namespaces.count(name) > 1}):
            raise ValueError(f"namespaces: expected each once, found {', '.join(twice)} twice")
        if not self.namespaces:
            return
        if homeless := [f"{rule.resource}.{rule.group}" for rule in self.custom if not rule.is_namespaced]:
            fault = f"custom: expected resources with a namespace beside namespaces, found {', '.join(homeless)}"
            raise ValueError(f"{fault}, which has none")
        if not self.kinds:
            raise ValueError(
                f"resources: expected some with a namespace beside namespaces, found {', '.join(self.resources)} alone"
            )

    @property
    def kubeconfig_path(self) -> Path | None:
        """The kubeconfig, if one is named."""
        return Path(self.kubeconfig).expanduser() if self.kubeconfig else None

    @property
    def kinds(self) -> tuple[Kind[Any], ...]:
        """What is watched."""
        return tuple(
            kind
            for kind in (*CATALOGUE, *(kind_by(rule) for rule in self.custom))
            if (not self.resources or kind.resource in self.resources or kind not in CATALOGUE)
            and (kind.is_namespaced or not self.namespaces)
        )
