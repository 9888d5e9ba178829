"""One operator at a time."""

import asyncio
import math
from pathlib import Path

import pytest

from kgents_operator.kinds import PODS
from kgents_operator.source import Leadership, Standby, Writer, lease
from kgents_shared.kubernetes.client import ApiClient
from kgents_shared.kubernetes.error import ApiError
from kgents_shared.runtime.clock import SystemClock
from support.kube_api import KubeApi
from support.operated import NAMESPACE
from support.running import running
from support.waiting import MACHINE, eventually, stays

LEASES = "leases.coordination.k8s.io"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "TTL_S", math.ceil(MACHINE.limit_s(1)))  # an integer, as the server wants it
    monkeypatch.setattr(lease, "MARGIN_S", MACHINE.limit_s(0.3))
    monkeypatch.setattr(lease, "RENEW_S", MACHINE.limit_s(0.2))


class Instance:
    """One that counts how often it works, and whether it works now."""

    def __init__(self, client: ApiClient, name: str) -> None:
        self.leadership = Leadership(client, SystemClock(), NAMESPACE, name)
        self.is_working = False
        self.times = 0
        self.ended_s = 0.0

    async def run(self) -> None:
        await self.leadership.run(self._work)

    async def _work(self) -> None:
        self.is_working, self.times = True, self.times + 1
        try:
            await asyncio.Event().wait()
        finally:
            self.is_working, self.ended_s = False, SystemClock().monotonic_s()


async def test_the_second_waits_until_the_first_is_gone(api: KubeApi, kubeconfig: Path) -> None:
    async with ApiClient(kubeconfig, "", SystemClock()) as client:
        one, two = Instance(client, "one"), Instance(client, "two")
        async with running(two.run()):
            async with running(one.run()):
                await eventually(lambda: one.is_working or two.is_working)
                first, second = (one, two) if one.is_working else (two, one)
                await stays(lambda: first.is_working and not second.is_working, lease.TTL_S * 2)
                assert api.get(LEASES, NAMESPACE, lease.NAME)["spec"]["holderIdentity"] in ("one", "two")
            await eventually(lambda: two.is_working)
            assert not one.is_working
            assert api.get(LEASES, NAMESPACE, lease.NAME)["spec"]["holderIdentity"] == "two"


@pytest.mark.parametrize("api", ["fake"], indirect=True)
async def test_who_cannot_renew_it_ends_its_work_before_another_begins(api: KubeApi, kubeconfig: Path) -> None:
    async with ApiClient(kubeconfig, "", SystemClock()) as client:
        one = Instance(client, "one")
        async with running(one.run()):
            await eventually(lambda: one.is_working)
            api.forbid(LEASES, ["get", "update"])
            await eventually(lambda: "forbidden" in one.leadership.fault)
            api.hang()  # the last try may have a moment only, in which no answer comes
            await eventually(lambda: not one.is_working, lease.TTL_S * 4)
            assert "forbidden" in one.leadership.fault
            assert not one.leadership.is_held
            api.flow()
            api.permit(LEASES)
            await eventually(lambda: one.is_working)
        assert one.times == 2


async def test_a_lease_that_another_took_ends_the_work_at_once(api: KubeApi, kubeconfig: Path) -> None:
    async with ApiClient(kubeconfig, "", SystemClock()) as client:
        one = Instance(client, "one")
        async with running(one.run()):
            await eventually(lambda: one.is_working)
            api.patch(LEASES, NAMESPACE, lease.NAME, {"spec": {"holderIdentity": "two", "leaseDurationSeconds": 3600}})
            await eventually(lambda: not one.is_working)
            await stays(lambda: not one.is_working, lease.TTL_S)


async def test_who_works_sees_whether_another_would_take_over(api: KubeApi, kubeconfig: Path) -> None:
    async with ApiClient(kubeconfig, "", SystemClock()) as client:
        one, two = (Standby(client, SystemClock(), NAMESPACE, each) for each in ("one", "two"))
        async with running(two.run(lambda: False)):
            await eventually(lambda: lease.STANDBY in names(api))
        async with running(one.run(lambda: True)):
            await stays(lambda: not one.is_there, lease.TTL_S)  # the Lease of one that is gone
            async with running(two.run(lambda: False)):
                await eventually(lambda: one.is_there)
            await eventually(lambda: not one.is_there, lease.TTL_S * 4)


@pytest.mark.parametrize("api", ["fake"], indirect=True)
async def test_a_server_that_does_not_answer_ends_the_work_in_time_and_nothing_is_written_then(
    api: KubeApi, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "TTL_S", math.ceil(MACHINE.limit_s(3)))
    monkeypatch.setattr(lease, "MARGIN_S", MACHINE.limit_s(1))
    monkeypatch.setattr(lease, "RENEW_S", MACHINE.limit_s(1.8))
    clock = SystemClock()
    async with ApiClient(kubeconfig, "", clock) as client:
        one = Instance(client, "one")
        writer = Writer(client, "one", lambda: one.leadership.left_s > 0)
        async with running(one.run()):
            await eventually(lambda: one.is_working)
            api.hang()
            renewed_s = clock.monotonic_s() + one.leadership.left_s - (lease.TTL_S - lease.MARGIN_S)
            await eventually(lambda: not one.is_working, lease.TTL_S * 4)
            assert one.ended_s - renewed_s < lease.TTL_S, "another one may begin then"
            with pytest.raises(ApiError, match="found its time over"):
                await writer.delete(PODS, NAMESPACE, "orders-0", "u-1")
            api.flow()


def names(api: KubeApi) -> list[str]:
    return [each["metadata"]["name"] for each in api.objects(LEASES, NAMESPACE)]
