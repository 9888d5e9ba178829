"""The settings of this collector: read by `runtime.config` before any request to the cluster."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta

from kgents_collector_k8s import selector
from kgents_collector_k8s.mapping import CATALOGUE
from kgents_collector_k8s.mapping.custom import CustomRule
from kgents_collector_k8s.mapping.custom import kind as kind_by
from kgents_collector_k8s.mapping.fragment import Kind
from kgents_shared.bus.files import unreadable
from kgents_shared.contract.section import Fault, Section
from kgents_shared.kubernetes.kubeconfigs import context_names, current_context, kubeconfig

Count = Annotated[int, Meta(ge=1)]

_NAMING: Final = ("kind", "api_kind", "group")
"""The fields of a custom rule that decide the name of its kind."""

_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""What Kubernetes accepts as the name of a namespace."""


class Manifests(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One set of manifests that the cluster should be as."""

    path: str
    """A directory with all below it, a kustomization, or a file: a checkout that another program keeps up to date."""

    namespace: str = "default"
    """Of objects that name no namespace."""

    def faults(self) -> Iterator[Fault]:
        if not Path(self.path).is_absolute():
            yield Fault("path", "an absolute path", f'"{self.path}"', "try: /srv/deploy/shop")

    @property
    def name(self) -> str:
        """Of its entity: the last part of the path."""
        return Path(self.path).name


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
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

    Some only join others: `replicasets` the Deployment of a pod, `endpointslices` the pods of a Service.
    """

    custom: list[CustomRule] = []
    """Custom resources, and how they are shown."""

    max_objects: Count = 200_000
    """Objects shown of one resource. One entity named `overflow` stands for the rest; its pulse says how many."""

    events: bool = True
    """Whether Kubernetes Events are published."""

    metrics_interval_s: Annotated[float, Meta(ge=10)] = 30.0
    """Seconds between two polls of metrics.k8s.io; metrics-server itself measures every 15 s."""

    manifests: list[Manifests] = []
    """What the cluster should be: each object that they state says how it differs. They are only read."""

    drift_after_s: Annotated[float, Meta(ge=0)] = 900.0
    """How long a difference must last to be drift: longer than from a commit until it is rolled out."""

    def faults(self) -> Iterator[Fault]:
        yield from self._resource_faults()
        yield from self._namespace_faults()
        yield from self._manifest_faults()
        if fault := selector.fault(self.label_selector):
            yield Fault("label_selector", "a label selector, as `kubectl -l` takes it", fault, "try: team=a,tier!=b")
        kinds = [kind_by(rule).kind for rule in self.custom]
        for place, kind in enumerate(kinds):
            if kind in kinds[:place]:
                other = f"custom[{kinds.index(kind)}]"
                beside = tuple(f"{rule}.{name}" for rule in (other, f"custom[{place}]") for name in _NAMING)
                yield Fault(
                    f"custom[{place}]", "a kind of its own for each rule", f"{kind}, as in {other}", "set kind", beside
                )

    def _resource_faults(self) -> Iterator[Fault]:
        known = [kind.resource for kind in CATALOGUE]
        for place, name in enumerate(self.resources):
            if name not in known:
                near = next(iter(difflib.get_close_matches(name.lower(), known, 1)), "")
                advice = f"did you mean {near}?" if near else f"known: {', '.join(sorted(known))}"
                yield Fault(f"resources[{place}]", "the plural of a resource", f'"{name}"', advice)

    def _manifest_faults(self) -> Iterator[Fault]:
        names = [each.name for each in self.manifests]
        for place, name in enumerate(names):
            if name in names[:place]:
                other = f"manifests[{names.index(name)}].path"
                at = f"manifests[{place}].path"
                yield Fault(at, "another last part for each path", f"{name}, as in {other}", "rename one", (other,))

    def _namespace_faults(self) -> Iterator[Fault]:
        for place, name in enumerate(self.namespaces):
            at = f"namespaces[{place}]"
            if not _LABEL.fullmatch(name):
                # A name that no namespace can have would be answered with an empty list instead of an error.
                yield Fault(at, "the name of a namespace", f'"{name}"', "try an empty list for all of them")
            elif name in self.namespaces[:place]:
                yield Fault(at, "each once", f"{name} twice", "remove one of them")
        if not self.namespaces:
            return
        for place, rule in enumerate(self.custom):
            if not rule.is_namespaced:
                at = f"custom[{place}].is_namespaced"
                found = f"{rule.resource}.{rule.group}, which has none"
                advice = "remove the rule, or namespaces"
                yield Fault(at, "a resource with a namespace beside namespaces", found, advice, beside=("namespaces",))
        if not self.kinds:
            found = f"{', '.join(self.resources)} alone"
            advice = "remove namespaces, or add resources"
            yield Fault("resources", "some with a namespace beside namespaces", found, advice, beside=("namespaces",))

    def check(self) -> Iterator[Fault]:
        path = self.kubeconfig_path
        unusable = list(unreadable("kubeconfig", str(path) if path else None, "a kubeconfig"))
        yield from unusable
        if path is None or unusable:
            return
        try:
            document = kubeconfig(path)
        except ValueError:
            yield Fault("kubeconfig", "a kubeconfig", f"{path}: something else", "try: kubectl config view")
            return
        name, names = self.context or current_context([document]), context_names([document])
        if name not in names:
            expected = f"one of {', '.join(names)}" if names else "a context of the kubeconfig"
            found = f'"{name}"' if name else f"none in {path}"
            yield Fault("context", expected, found, "try: kubectl config get-contexts", beside=("kubeconfig",))

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
