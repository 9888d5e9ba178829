"""What collector-k8s has published in the cluster `test`, as its subscribers see it."""

from kgents_shared.bus.client import Bus
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY
from kgents_shared.contract.entity import Entity, Ref
from support.kube_api import KubeApi
from support.waiting import eventually


async def entities(bus: Bus, cluster: str = "test") -> dict[Ref, Entity]:
    table = StateView(bus, ENTITY, "KGENTS_ENTITY", [subjects.pattern("entity", cluster=cluster, source="k8s")])
    await table.load()
    return {row.message.ref: row.message for row in table.rows.values()}


async def of_kind(bus: Bus, kind: str) -> set[str]:
    return {ref.name for ref in await entities(bus) if ref.kind == kind}


def pods(api: KubeApi) -> set[str]:
    return {pod["metadata"]["name"] for pod in api.objects("pods")}


async def shows_what_is_there(bus: Bus, api: KubeApi) -> None:
    """Wait until the pods on the stream are the server's."""

    async def claim() -> bool:
        return await of_kind(bus, "pod") == pods(api)

    await eventually(claim)
