"""The operator in the process of the test, on the API server of the tests, and who else acts in a cluster."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from kgents_operator.config import Config
from kgents_operator.desired.cnpg import API_VERSION
from kgents_operator.desired.outcome import Desired, Place
from kgents_operator.desired.owner import DESIRED
from kgents_operator.journal import Record, Trail
from kgents_operator.operate import Operator
from kgents_operator.resources.definitions import DEFINITIONS
from kgents_operator.source import Writer
from kgents_operator.source.drawer import NAME as JOURNAL
from kgents_operator.status import Figures, Findings, Seen
from kgents_shared.contract.audit import AuditRecord
from kgents_shared.contract.errors import ProvisionError
from kgents_shared.kubernetes.client import ApiClient
from kgents_shared.runtime.clock import Clock, SystemClock
from support.kube_api import KubeApi, Resource
from support.kubernetes import Kubernetes
from support.real_cluster import RealCluster

Json = dict[str, Any]

NAMESPACE = "shop"
CHILDREN = (
    "statefulsets.apps", "deployments.apps", "services", "configmaps", "networkpolicies.networking.k8s.io",
    "poddisruptionbudgets.policy", "cronjobs.batch", "secrets", "persistentvolumeclaims",
)  # fmt: skip


ACCOUNT_TOKEN = "kubernetes.io/service-account-token"


def served(api: KubeApi) -> KubeApi:
    """With our definitions, and a namespace to work in."""
    for each in DEFINITIONS:
        api.define(each.document())
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    return api


def postgres(name: str = "orders", **spec: Any) -> Json:
    """A resource as a person writes it."""
    return {
        "apiVersion": "kgents.io/v1alpha1",
        "kind": "PostgresCluster",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"database": "orders"} | spec,
    }


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def seen(
    spec: Any,
    wanted: Desired[Any],
    objects: Mapping[Place, Json],
    figures: Figures = Figures(),  # noqa: B008 - it is frozen
    *,
    before: Json | None = None,
    now: datetime = NOW,
    generation: int = 1,
) -> Seen[Any, Any]:
    """A resource as a run found it, which has refused nothing but what is wanted says."""
    return Seen(spec, wanted, objects, Findings(refusal=wanted.refusal), figures, generation, before or {}, now)


def no_figures(_namespace: str, _pods: Sequence[str]) -> Figures:
    return Figures(fault="no NATS here")


async def no_trail(_: AuditRecord) -> None:
    """As where there is no NATS."""
    raise ProvisionError("no NATS here")


@asynccontextmanager
async def operating(
    kubeconfig: Path,
    *,
    config: Config | None = None,
    clock: Clock | None = None,
    figures: Callable[[str, Sequence[str]], Figures] = no_figures,
    record: Record = no_trail,
    has_standby: Callable[[], bool] = lambda: True,
) -> AsyncIterator[Operator]:
    """An operator that holds the Lease. At the end it is dropped in the middle of whatever it does."""
    clock = clock or SystemClock()
    config = config or Config(kubeconfig=str(kubeconfig), lease_namespace=NAMESPACE)
    async with ApiClient(kubeconfig, "", clock, agent="kgents-operator") as client:
        writer = Writer(client, "one", lambda: True)
        operator = Operator(config, client, writer, clock, figures, Trail(record, "test", "one"), has_standby)
        working = asyncio.create_task(operator.run())
        try:
            yield operator
        finally:
            working.cancel()
            await asyncio.wait([working])


class Controllers:
    """What kube-controller-manager and kubelets do at our stand-in of what matters here, whenever a test says so."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api

    def act(self) -> None:
        """Volumes for StatefulSets, status for what runs, and the end of what lost its owner."""
        self._collect()
        for each in self._api.objects("statefulsets.apps", NAMESPACE):
            self._claims(each)
            self._pods(each)
            state = each["metadata"]["generation"], each["spec"]["replicas"]
            self._ready("statefulsets.apps", each, *state, updateRevision="1", currentRevision="1")
        for each in self._api.objects("deployments.apps", NAMESPACE):
            state = each["metadata"]["generation"], each["spec"]["replicas"]
            self._ready("deployments.apps", each, *state, updatedReplicas=each["spec"]["replicas"])

    def _claims(self, statefulset: Json) -> None:
        ordinals = range(statefulset["spec"]["replicas"])
        for template, ordinal in product(statefulset["spec"].get("volumeClaimTemplates", ()), ordinals):
            claim = copy.deepcopy(template)
            claim["metadata"] |= {
                "name": f"{template['metadata']['name']}-{statefulset['metadata']['name']}-{ordinal}",
                "namespace": NAMESPACE,
            }
            names = {each["metadata"]["name"] for each in self._api.objects("persistentvolumeclaims", NAMESPACE)}
            if claim["metadata"]["name"] not in names:
                capacity = claim["spec"]["resources"]["requests"]
                self._api.create(claim | {"status": {"phase": "Bound", "capacity": capacity}})

    def _pods(self, statefulset: Json) -> None:
        known = {each["metadata"]["name"] for each in self._api.objects("pods", NAMESPACE)}
        for ordinal in range(statefulset["spec"]["replicas"]):
            if (name := f"{statefulset['metadata']['name']}-{ordinal}") not in known:
                metadata = {"name": name, "namespace": NAMESPACE} | statefulset["spec"]["template"]["metadata"]
                conditions = [{"type": "Ready", "status": "True"}]
                status = {"phase": "Running", "conditions": conditions}
                self._api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status})

    def _ready(self, resource: str, found: Json, generation: int, replicas: int, **more: Any) -> None:
        status = {"observedGeneration": generation, "replicas": replicas, "readyReplicas": replicas} | more
        status["availableReplicas"] = replicas
        self._api.patch_status(resource, NAMESPACE, found["metadata"]["name"], status)

    def _collect(self) -> None:
        """As the garbage collector: what no owner is left of goes; by its policy a StatefulSet takes its claims."""
        owners = {
            each["metadata"]["uid"]
            for definition in DEFINITIONS
            for each in self._api.objects(definition.name, NAMESPACE)
        } | {each["metadata"]["uid"] for each in self._api.objects("jobs.batch", NAMESPACE)}
        for resource in CHILDREN:
            for each in self._api.objects(resource, NAMESPACE):
                references = each["metadata"].get("ownerReferences") or ()
                if references and all(reference["uid"] not in owners for reference in references):
                    self._api.delete(resource, NAMESPACE, each["metadata"]["name"])
                    if resource == "statefulsets.apps":
                        self._take_claims(each)

    def _take_claims(self, statefulset: Json) -> None:
        if statefulset["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete":
            for ordinal in range(statefulset["spec"]["replicas"]):
                name = f"data-{statefulset['metadata']['name']}-{ordinal}"
                self._api.delete("persistentvolumeclaims", NAMESPACE, name)


class Kubelets:
    """What kubelets and a provisioner of volumes do in a real cluster that has none, whenever a test says so."""

    def __init__(self, api: RealCluster) -> None:
        self._api = api

    def act(self) -> None:
        """Pods run and are ready, and claims are bound."""
        for each in self._api.objects("pods", NAMESPACE):
            if each["status"].get("phase") != "Running":
                is_ready = {
                    "type": "Ready",
                    "status": "True",
                    "lastTransitionTime": each["metadata"]["creationTimestamp"],
                }
                self._say("pods", each, {"phase": "Running", "conditions": [is_ready]})
        for each in self._api.objects("persistentvolumeclaims", NAMESPACE):
            if each["status"].get("phase") != "Bound":
                capacity = each["spec"]["resources"]["requests"]
                self._say("persistentvolumeclaims", each, {"phase": "Bound", "capacity": capacity})

    def _say(self, resource: str, found: Json, status: Json) -> None:
        """One that is gone by now needs none."""
        path = self._api.path(resource, NAMESPACE, found["metadata"]["name"], "status")
        self._api.status("PATCH", path, {"status": status})


class Site:
    """A cluster with our operator's resources, as a person and the tests see it: one kind of them."""

    plural = "postgresclusters"
    default = "orders"
    written = staticmethod(postgres)
    """A resource as a person writes it."""

    def __init__(self, api: KubeApi | RealCluster, client: Kubernetes) -> None:
        self.api = api
        self.client = client
        self.controllers = Controllers(api) if isinstance(api, KubeApi) else Kubelets(api)

    @property
    def path(self) -> str:
        return f"/apis/kgents.io/v1alpha1/namespaces/{NAMESPACE}/{self.plural}"

    @property
    def stand_in(self) -> KubeApi:
        """For what only it can be asked."""
        assert isinstance(self.api, KubeApi)
        return self.api

    async def create(self, name: str = "", **spec: Any) -> Json:
        return await self.client.do("POST", self.path, self.written(name or self.default, **spec))

    async def change(self, patch: Json, name: str = "") -> Json:
        return await self.client.do("PATCH", f"{self.path}/{name or self.default}", patch)

    async def delete(self, name: str = "") -> None:
        await self.client.do("DELETE", f"{self.path}/{name or self.default}")

    def resource(self, name: str = "") -> Json:
        return self.api.get(f"{self.plural}.kgents.io", NAMESPACE, name or self.default)

    def status(self, name: str = "") -> Json:
        found: Json = self.resource(name).get("status") or {}
        return found

    def condition(self, type_: str, name: str = "") -> tuple[str, str]:
        """Status and reason; empty texts: there is none."""
        for each in self.status(name).get("conditions", ()):
            if each["type"] == type_:
                return each["status"], each["reason"]
        return "", ""

    def message(self, type_: str, name: str = "") -> str:
        found = [each["message"] for each in self.status(name).get("conditions", ()) if each["type"] == type_]
        return str(found[0]) if found else ""

    def names(self, resource: str) -> list[str]:
        """Without what controllers put into every namespace."""
        return [
            each["metadata"]["name"]
            for each in self.api.objects(resource, NAMESPACE)
            if each["metadata"]["name"] not in ("kube-root-ca.crt", JOURNAL) and each.get("type") != ACCOUNT_TOKEN
        ]

    def after_controllers(self, resource: str) -> list[str]:
        """The names once whoever else is in the cluster has acted, which may take more than one time."""
        self.controllers.act()
        return self.names(resource)

    def is_ready(self, name: str = "") -> bool:
        """Whether it is, and known to have data, once whoever else is in the cluster has acted."""
        self.controllers.act()
        status, config = self.status(name), f"{name or self.default}-config"
        generation = self.resource(name)["metadata"]["generation"]
        is_known = status.get("backend") == "cnpg" or all(
            each["data"]["founded"]
            for each in self.api.objects("configmaps", NAMESPACE)
            if each["metadata"]["name"] == config
        )
        return bool(status.get("ready")) and status["observedGeneration"] == generation and is_known

    def children(self) -> dict[str, Json]:
        """Everything that was made, without what differs from run to run: what is random, and what the server adds."""
        found = {}
        for resource in CHILDREN:
            for each in self.api.objects(resource, NAMESPACE):
                metadata = each["metadata"]
                if metadata["name"] not in self.names(resource):
                    continue
                kept = {key: dict(metadata[key]) for key in ("labels", "annotations") if key in metadata}
                kept.get("annotations", {}).pop(DESIRED, "")  # with the uid of the resource
                data = sorted(each["data"]) if resource == "secrets" else each.get("data")
                found[f"{resource} {metadata['name']}"] = {"metadata": kept, "spec": each.get("spec"), "data": data}
        return found


def serve_cloudnativepg(site: Site) -> None:
    """As if its operator were installed, which nobody plays here."""
    group, version = API_VERSION.split("/")
    for plural, kind in (("clusters", "Cluster"), ("poolers", "Pooler")):
        site.api.register(Resource(group, version, plural, kind, has_status=True, has_generation=True, is_custom=True))
