"""Our stand-in when requests and streams fail: each fault does what it says, and a client can recover the rest."""

import asyncio
from pathlib import Path
from random import Random

import aiohttp
import pytest

from support import kube_objects
from support.kube_api import Fault, Faults, KubeApi
from support.kubernetes import Json, Kubernetes
from support.waiting import eventually, stays_silent, within

PODS = "/api/v1/pods"
SOON_S = 0.5
BEFORE_ALL = 990


def certain(fault: Fault) -> Faults:
    return Faults(1, {fault: 1.0})


@pytest.fixture(autouse=True)
def pods(api: KubeApi) -> None:
    for number in range(20):
        api.create(kube_objects.pod(f"web-{number:02d}"))


async def test_a_refused_connection_answers_nothing(api: KubeApi, client: Kubernetes) -> None:
    api.faults = certain(Fault.REFUSE)
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.get(PODS)


@pytest.mark.parametrize("fault", [Fault.SILENCE, Fault.HANG])
async def test_silence_is_no_byte_and_no_end(api: KubeApi, client: Kubernetes, fault: Fault) -> None:
    api.faults = certain(fault)

    async def first_event() -> Json | None:
        async with client.watch(PODS) as stream:
            return await stream.next()

    await stays_silent(first_event(), for_s=SOON_S)
    await eventually(lambda: not api.watches)


async def test_a_proxy_answers_with_a_page(api: KubeApi, client: Kubernetes) -> None:
    api.faults = certain(Fault.HTML)
    answer = await client.get(PODS)
    assert answer.status in (500, 502, 503, 504)
    assert answer.text.startswith("<html>")


async def test_throttling_says_how_long(api: KubeApi, client: Kubernetes) -> None:
    api.faults = certain(Fault.THROTTLE)
    answer = await client.get(PODS)
    assert (answer.status, answer.body["reason"], answer.headers["Retry-After"]) == (429, "TooManyRequests", "1")


async def test_a_compaction_happens_between_two_pages(api: KubeApi, client: Kubernetes) -> None:
    token = (await client.get(PODS, query={"limit": "5"})).body["metadata"]["continue"]
    api.faults = certain(Fault.COMPACT)
    assert (await client.get(PODS, query={"limit": "5", "continue": token})).status == 410


async def test_a_list_ends_in_the_middle(api: KubeApi, client: Kubernetes) -> None:
    api.faults = certain(Fault.SHORT)
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.get(PODS)


async def test_a_stream_breaks_in_the_middle_of_a_line(api: KubeApi, client: Kubernetes) -> None:
    async with client.watch(PODS) as stream:
        await stream.take(20)
        api.faults = certain(Fault.CUT)
        api.create(kube_objects.pod("late"))
        with pytest.raises((aiohttp.ClientError, ValueError)):
            await stream.next()


async def test_a_line_comes_in_pieces(api: KubeApi, client: Kubernetes) -> None:
    api.faults = certain(Fault.TRICKLE)
    async with client.watch(PODS) as stream:
        assert len(await stream.take(20)) == 20


@pytest.mark.parametrize(("fault", "code"), [(Fault.ERROR, 500), (Fault.GONE, 410)])
async def test_an_error_ends_a_stream(api: KubeApi, client: Kubernetes, fault: Fault, code: int) -> None:
    api.faults = certain(fault)
    async with client.watch(PODS) as stream:
        (event,) = await stream.until_end()
    assert (event["type"], event["object"]["code"]) == ("ERROR", code)


async def test_a_lagging_server_shows_an_older_state_only_to_who_allows_it(api: KubeApi, client: Kubernetes) -> None:
    api.faults = certain(Fault.STALE)
    now = api.store.revision
    seen = {(await list_at(client, "0"))["resourceVersion"] for _ in range(20)}
    assert min(map(int, seen)) < now
    assert {(await list_at(client, ""))["resourceVersion"] for _ in range(5)} == {str(now)}
    known = now - 3
    assert all([int((await list_at(client, str(known)))["resourceVersion"]) >= known for _ in range(20)])


async def list_at(client: Kubernetes, version: str) -> Json:
    found: Json = (await client.get(PODS, query={"resourceVersion": version})).body["metadata"]
    return found


async def test_a_seed_makes_the_same_faults_whatever_else_is_asked() -> None:
    async def fate(*, beside: bool) -> list[Fault | None]:
        faults = Faults.mixed(7)
        found = []
        for _ in range(200):
            found.append(faults.of_request(faults.random_for(PODS)))
            if beside:
                faults.of_request(faults.random_for("/api/v1/nodes"))
        return found

    assert await fate(beside=False) == await fate(beside=True)
    assert len(set(await fate(beside=False))) > 2


@pytest.mark.parametrize("seed", range(8))
async def test_who_resumes_from_the_last_event_gets_everything_once(
    api: KubeApi, client: Kubernetes, seed: int
) -> None:
    """The simplest client that can be right: what it saw in the end is what the server has."""
    api.faults = Faults(seed, dict.fromkeys((Fault.REFUSE, Fault.CUT, Fault.END, Fault.TRICKLE, Fault.ERROR), 0.1))
    for number in range(30):
        api.create(kube_objects.pod(f"late-{number:02d}"))
    version, seen, expected = BEFORE_ALL, list[str](), 50
    async with within(20):
        while len(seen) < expected:
            try:
                async with client.watch(PODS, query={"resourceVersion": str(version)}) as stream:
                    while event := await stream.next():
                        if event["type"] == "ERROR":
                            break
                        version = int(event["object"]["metadata"]["resourceVersion"])
                        seen.append(event["object"]["metadata"]["uid"])
                        if len(seen) == expected:
                            break
            except (aiohttp.ClientError, ValueError):
                continue
    assert sorted(seen) == sorted(pod["metadata"]["uid"] for pod in api.objects("pods"))


async def test_a_black_hole_passes_again(api: KubeApi, client: Kubernetes) -> None:
    async with client.watch(PODS) as stream:
        await stream.take(20)
        api.hang()
        api.create(kube_objects.pod("late"))
        await stays_silent(stream.next(), for_s=SOON_S)
        api.flow()
        assert (await stream.take(1))[0]["object"]["metadata"]["name"] == "late"


async def test_a_server_that_is_down_comes_back_on_the_same_port(api: KubeApi, client: Kubernetes) -> None:
    async with client.watch(PODS) as stream:
        await stream.take(20)
        await api.down()
        with pytest.raises(aiohttp.ClientError):
            await stream.next()
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.get(PODS)
    await api.up()
    assert (await client.get(PODS)).status == 200


async def test_it_speaks_tls_with_its_own_authority(tmp_path: Path) -> None:
    async with KubeApi(is_tls=True) as api, Kubernetes(api.kubeconfig(tmp_path / "tls")) as client:
        assert api.url.startswith("https")
        assert (await client.get("/version")).status == 200


class Mirror:
    """The shortest client that is right under every fault: list, follow, and list again when the version is gone."""

    def __init__(self, client: Kubernetes) -> None:
        self.objects: dict[str, Json] = {}
        self.version = ""
        self._client = client

    async def run(self) -> None:
        while True:
            try:
                async with within(SOON_S):
                    await (self._follow() if self.version else self._list())
            except (aiohttp.ClientError, ValueError, TimeoutError):
                await asyncio.sleep(0.01)

    async def _list(self) -> None:
        found: list[Json] = []
        query = {"limit": "7"}
        while True:
            answer = await self._client.get(PODS, query=query)
            if answer.status != 200:
                return
            found += answer.body["items"]
            if "continue" not in answer.body["metadata"]:
                break
            query["continue"] = answer.body["metadata"]["continue"]
        self.objects = {item["metadata"]["name"]: item for item in found}
        self.version = answer.body["metadata"]["resourceVersion"]

    async def _follow(self) -> None:
        async with self._client.watch(PODS, query={"resourceVersion": self.version}) as stream:
            self.version = "" if stream.status == 410 else self.version
            while stream.status == 200 and (event := await stream.next()):
                if event["type"] == "ERROR":
                    self.version = "" if event["object"]["code"] == 410 else self.version
                    return
                self._apply(event["type"], event["object"])

    def _apply(self, kind: str, content: Json) -> None:
        name = content["metadata"]["name"]
        assert (kind == "ADDED") == (name not in self.objects), f"{kind} of {name}, which is {name in self.objects=}"
        self.objects[name] = content
        if kind == "DELETED":
            del self.objects[name]
        self.version = content["metadata"]["resourceVersion"]


def versions(objects: list[Json]) -> dict[str, str]:
    return {one["metadata"]["uid"]: one["metadata"]["resourceVersion"] for one in objects}


@pytest.mark.parametrize("seed", range(12))
async def test_after_any_faults_a_right_client_has_what_the_server_has(
    api: KubeApi, client: Kubernetes, seed: int
) -> None:
    dice = Random(seed)
    api.faults = Faults.mixed(seed)
    api.gone_in_stream = bool(seed % 2)
    mirror = Mirror(client)
    async with within(40):
        task = asyncio.create_task(mirror.run())
        for _ in range(150):
            mutate(api, f"web-{dice.randrange(25):02d}", dice)
            await asyncio.sleep(0.005)
        api.faults = None

        def is_mirrored() -> bool:
            assert not task.done(), task.exception()
            return versions(list(mirror.objects.values())) == versions(api.objects("pods"))

        await eventually(is_mirrored)
    task.cancel()


def mutate(api: KubeApi, name: str, dice: Random) -> None:
    names = {one["metadata"]["name"] for one in api.objects("pods")}
    if name not in names:
        api.create(kube_objects.pod(name))
    elif dice.random() < 0.4:
        api.delete("pods", "default", name)
    else:
        api.patch_status("pods", "default", name, {"message": str(dice.random())})
