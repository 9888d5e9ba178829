"""The client and the reflector against servers and proxies that are not as they should be."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from kgents_collector_k8s.mapping import CATALOGUE
from kgents_collector_k8s.objects.pod import Pod
from kgents_collector_k8s.source import ApiClient, Key, Reflector
from kgents_shared.kubernetes import client, reflector, resource, retry, stream
from kgents_shared.runtime.clock import SystemClock
from support import kube_objects
from support.k8s_peer import Answer, Json, kubeconfig, serving
from support.kube_api import KubeApi
from support.running import running
from support.waiting import MACHINE, eventually, stays

PODS = next(kind for kind in CATALOGUE if kind.resource == "pods")


class Told:
    """What a reflector says, folded."""

    def __init__(self, *known: str) -> None:
        self.names = set(known)
        self.is_complete = False

    def known(self) -> Collection[Key]:
        return {("shop", name) for name in self.names}

    def put(self, key: Key, found: Pod) -> None:
        self.names.add(key[1])

    def drop(self, key: Key, uid: str) -> None:
        self.names.discard(key[1])

    async def complete(self, keys: Collection[Key]) -> None:
        self.names = {name for _, name in keys}
        self.is_complete = True

    def wants_more(self) -> bool:
        return False


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "IDLE_S", 1.0)
    monkeypatch.setattr(client, "CONNECT_S", 1.0)
    monkeypatch.setattr(client, "HEAD_S", 1.0)
    monkeypatch.setattr(client, "ANSWER_S", 5.0)
    monkeypatch.setattr(client, "RELOGIN_S", 0.0)
    monkeypatch.setattr(retry, "BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr(retry, "BACKOFF_MAX_S", 0.05)
    monkeypatch.setattr(retry, "PARK_S", 0.2)
    monkeypatch.setattr(retry, "RETRY_AFTER_MAX_S", 0.2)
    monkeypatch.setattr(reflector, "SHORT_S", 0.01)


@asynccontextmanager
async def reflecting(directory: Path, answer: Answer, told: Told) -> AsyncIterator[Reflector[Any]]:
    async with (
        serving(answer) as url,
        ApiClient(kubeconfig(directory / "kubeconfig", url), "", SystemClock()) as connection,
    ):
        watcher = Reflector(connection, PODS, told, SystemClock())
        async with running(watcher.run()):
            yield watcher


def pod(name: str) -> Json:
    made = kube_objects.pod(name, "shop")
    made["metadata"]["resourceVersion"] = "15"
    return made


def listed(*names: str, version: str = "10") -> web.Response:
    return web.json_response({"metadata": {"resourceVersion": version}, "items": [pod(name) for name in names]})


async def streamed(request: web.Request, *lines: bytes, after_s: float = 0) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await asyncio.sleep(after_s)
    for line in lines:
        await response.write(line + b"\n")
    await asyncio.Event().wait()
    return response


def line(type_: str, content: Any) -> bytes:
    return json.dumps({"type": type_, "object": content}).encode()


def deep(levels: int) -> bytes:
    return b'{"type":"MODIFIED","object":{"metadata":{"name":"a"},"x":' + b"[" * levels + b"]" * levels + b"}}"


@pytest.mark.parametrize(
    "odd",
    [
        b"<html>a proxy</html>",
        b'{"type":"MODIFIED"}',
        b'{"type":"ERROR","object":{"code":"x"}}',
        b'{"type":"ERROR","object":null}',
        b'{"type":"MODIFIED","object":{"metadata":{"name":7}}}',
        b'{"type":"DELETED","object":{"metadata":{"name":"a","namespace":["shop"]}}}',
        b'{"type":"MODIFIED","object":{}}',
        b'{"type":"MODIFIED","object":{"metadata":{"name":"\xff\xfe","namespace":"shop"}}}',
        deep(100_000),
        b'{"type":"DELETED"}',
        line("ERROR", {"code": 410, "reason": "Expired"}),
        line("ERROR", {"code": 504, "reason": "Timeout", "message": "Too large resource version: 9, current: 5"}),
    ],
    ids=str,
)
async def test_a_line_that_cannot_be_used_leads_to_a_new_list(tmp_path: Path, odd: bytes) -> None:
    lists, told = [], Told()

    async def answer(request: web.Request) -> web.StreamResponse:
        if "sendInitialEvents" in request.query:
            return web.Response(status=422)
        if "watch" not in request.query:
            lists.append(request)
            return listed("a", "b") if len(lists) == 1 else listed("b")
        return await (streamed(request, odd) if len(lists) == 1 else streamed(request))

    async with reflecting(tmp_path, answer, told):
        await eventually(lambda: told.names == {"b"})


@pytest.mark.parametrize("bookmark", [b'{"type":"BOOKMARK"}', line("BOOKMARK", {"metadata": {}})])
async def test_a_bookmark_that_marks_nothing_is_passed_over(tmp_path: Path, bookmark: bytes) -> None:
    told, lists = Told(), []

    async def answer(request: web.Request) -> web.StreamResponse:
        if "sendInitialEvents" in request.query:
            return web.Response(status=422)
        if "watch" in request.query:
            return await streamed(request, bookmark, line("ADDED", pod("b")))
        lists.append(request)
        return listed("a")

    async with reflecting(tmp_path, answer, told):
        await eventually(lambda: told.names == {"a", "b"})
        assert len(lists) == 1


async def test_a_fault_of_the_server_is_told_in_few_words(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        error = {"code": 500, "message": "x" * 10_000}
        return await streamed(request, line("ERROR", error)) if "watch" in request.query else listed("a")

    async with reflecting(tmp_path, answer, Told()) as watcher:
        await eventually(lambda: "xxx" in watcher.fault)
        assert len(watcher.fault) < 500


async def test_a_page_in_place_of_an_answer_is_called_what_it_is(tmp_path: Path) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>log in</html>", content_type="text/html")

    async with reflecting(tmp_path, answer, Told("a")) as watcher:
        await eventually(lambda: watcher.fault == "pods: /api/v1/pods: expected JSON of an API server, found text/html")


@pytest.mark.parametrize(
    "body",
    [b'{"x":' + b"[" * 30_000, b'{"x":"\xff\xfe"}', b'{"message":"\xff\xfe"}', b"<html>"],
    ids=["deep", "b", "c", "d"],
)
async def test_a_refusal_in_odd_words_is_a_refusal_still(tmp_path: Path, body: bytes) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=503, body=body, headers={"Content-Type": "application/json"})

    async with reflecting(tmp_path, answer, Told()) as watcher:
        await eventually(lambda: watcher.fault.startswith("pods: 503"))


async def test_an_object_that_cannot_be_read_stays_and_hides_no_other(tmp_path: Path) -> None:
    told = Told("a")

    async def answer(request: web.Request) -> web.StreamResponse:
        if "sendInitialEvents" in request.query:
            return web.Response(status=422)
        if "watch" in request.query:
            return await streamed(request)
        odd = pod("a") | {"spec": {"containers": "none"}}
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": [odd, pod("b")]})

    async with reflecting(tmp_path, answer, told):
        await eventually(lambda: told.names == {"a", "b"})


@pytest.mark.parametrize(
    "body",
    [{}, {"metadata": {}, "items": None}, {"metadata": {}, "items": []}, {"kind": "Status", "metadata": {}},
     {"metadata": {"resourceVersion": "1"}, "items": [{"metadata": {}}]}],
    ids=str,
)  # fmt: skip
async def test_an_answer_that_is_no_list_says_nothing_about_what_there_is(tmp_path: Path, body: Json) -> None:
    told = Told("a")

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(body)

    async with reflecting(tmp_path, answer, told) as watcher:
        await eventually(lambda: bool(watcher.fault))
        assert told.names == {"a"}
        assert not watcher.is_synced


@pytest.mark.parametrize("bookmark", [b"", line("BOOKMARK", {"metadata": {"resourceVersion": "7"}})])
async def test_a_server_that_never_ends_the_initial_events_is_asked_for_a_list(tmp_path: Path, bookmark: bytes) -> None:
    told = Told()

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return await streamed(request, line("ADDED", pod("a")), *([bookmark] if bookmark else []))
        return listed("a", "b")

    async with reflecting(tmp_path, answer, told):
        await eventually(lambda: told.is_complete)
        assert told.names == {"a", "b"}


async def test_long_and_compressed_answers_are_read(tmp_path: Path) -> None:
    told, long = Told(), pod("long")
    long["metadata"]["annotations"] = {"note": "x" * 6_000_000}

    async def answer(request: web.Request) -> web.StreamResponse:
        is_plain_watch = "watch" in request.query and "sendInitialEvents" not in request.query
        assert request.headers["Accept-Encoding"] == ("identity" if is_plain_watch else "gzip")
        if "sendInitialEvents" in request.query:
            return web.Response(status=400)
        if "watch" in request.query:
            return await streamed(request, line("ADDED", long))
        body = gzip.compress(json.dumps({"metadata": {"resourceVersion": "1"}, "items": [pod("a")]}).encode())
        return web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

    async with reflecting(tmp_path, answer, told):
        await eventually(lambda: told.names == {"a", "long"})


async def slowly(request: web.Request, body: bytes, *, parts: int, pause_s: float) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for start in range(0, len(body), len(body) // parts + 1):
        await response.write(body[start : start + len(body) // parts + 1])
        await asyncio.sleep(pause_s)
    return response


async def test_a_list_over_a_slow_link_is_read_to_its_end_and_the_server_counts_as_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SILENT_S", 2.0)
    monkeypatch.setattr(client, "ALIVE_S", 2.0)
    monkeypatch.setattr(client, "HEAD_S", 60.0)
    monkeypatch.setattr(stream, "IDLE_S", 60.0)
    told, lists = Told(), []

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/livez":  # behind the list, which fills the link
            await asyncio.Event().wait()
        if "sendInitialEvents" in request.query:
            return web.Response(status=422)
        if "watch" in request.query:
            return await streamed(request)
        lists.append(request)
        body = json.dumps({"metadata": {"resourceVersion": "10"}, "items": [pod("a")]}).encode()
        return await slowly(request, body, parts=20, pause_s=0.2)

    async with serving(answer) as url:
        kubeconfig(tmp_path / "kubeconfig", url)
        async with ApiClient(tmp_path / "kubeconfig", "", SystemClock()) as connection:
            watcher = Reflector(connection, PODS, told, SystemClock())
            async with running(watcher.run()):
                await eventually(lambda: lists)
                assert await connection.is_alive()
                await eventually(lambda: told.names == {"a"})
                assert len(lists) == 1
                assert not await connection.is_alive()


async def test_a_list_that_stops_in_the_middle_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SILENT_S", 0.2)

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return web.Response(status=422)
        return await streamed(request, b'{"metadata":')

    async with reflecting(tmp_path, answer, Told()) as watcher:
        await eventually(lambda: watcher.fault == "pods: /api/v1/pods: no answer in time")


async def test_an_answer_that_unpacks_beyond_all_measure_is_not_read(tmp_path: Path) -> None:
    bomb = gzip.compress(b" " * (client.ANSWER_BYTES_MAX + 1), compresslevel=1)

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return web.Response(status=422)
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

    async with reflecting(tmp_path, answer, Told()) as watcher:
        await eventually(lambda: watcher.fault.endswith("bytes, found more"))


async def test_a_server_that_knows_its_roles_a_moment_later_is_not_left_alone_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "PARK_S", 300.0)
    told, refusals = Told(), 3

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal refusals
        if refusals:
            refusals -= 1
            return web.Response(status=403)
        return await streamed(request) if "watch" in request.query else listed("a")

    async with reflecting(tmp_path, answer, told) as watcher:
        await eventually(lambda: watcher.fault.startswith("pods: 403"))
        await eventually(lambda: told.names == {"a"} and not watcher.fault)


async def test_a_server_cannot_send_us_to_sleep_for_ever(tmp_path: Path) -> None:
    told, count = Told(), 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal count
        count += 1
        if count < 4:
            return web.Response(status=429, headers={"Retry-After": "99999999" if count < 3 else "²"})
        return await streamed(request) if "watch" in request.query else listed("a")

    async with reflecting(tmp_path, answer, told):
        await eventually(lambda: told.names == {"a"})


async def test_a_server_that_does_not_answer_any_more_is_told_until_it_does(tmp_path: Path) -> None:
    async with KubeApi() as api:
        api.create(kube_objects.namespace("shop"))
        api.create(kube_objects.pod("a", "shop"))
        async with ApiClient(api.kubeconfig(tmp_path / "kubeconfig"), "", SystemClock()) as connection:
            told = Told()
            watcher = Reflector(connection, PODS, told, SystemClock())
            async with running(watcher.run()):
                await eventually(lambda: told.names == {"a"})
                api.hang()
                await eventually(lambda: bool(watcher.fault))
                api.flow()
                api.create(kube_objects.pod("b", "shop"))
                await eventually(lambda: told.names == {"a", "b"} and not watcher.fault)


async def test_a_watch_that_opens_only_to_fail_is_not_taken_for_one_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "SHORT_S", MACHINE.limit_s(1.0))

    async def answer(request: web.Request) -> web.StreamResponse:
        if "sendInitialEvents" in request.query:
            return web.Response(status=422)
        if "watch" in request.query:
            return await streamed(request, line("ERROR", {"code": 500}), after_s=0.02)
        return listed("a")

    async with reflecting(tmp_path, answer, Told()) as watcher:
        await eventually(lambda: bool(watcher.fault))
        await stays(lambda: bool(watcher.fault), for_s=0.3)


async def test_a_watch_that_is_over_while_lines_keep_coming_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "GRACE_S", 0.0)
    monkeypatch.setattr(resource, "WATCH_MIN_S", 0.05)
    monkeypatch.setattr(resource, "WATCH_MAX_S", 0.1)
    watches = []
    block = b"".join(line("MODIFIED", pod("a")) + b"\n" for _ in range(100))

    async def answer(request: web.Request) -> web.StreamResponse:
        if "sendInitialEvents" in request.query:
            return web.Response(status=422)
        if "watch" not in request.query:
            return listed("a")
        watches.append(request)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(block)

    async with reflecting(tmp_path, answer, Told()):
        await eventually(lambda: len(watches) >= 30)


@pytest.mark.parametrize("newest", ["9", "11"])
async def test_a_store_that_went_back_is_listed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newest: str
) -> None:
    monkeypatch.setattr(reflector, "CHECK_S", 0.05)
    monkeypatch.setattr(stream, "IDLE_S", 30.0)
    told, checks, lists = Told(), 0, 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal checks, lists
        if "sendInitialEvents" in request.query:
            return web.Response(status=422)
        if "watch" in request.query:
            return await streamed(request)
        if request.query["limit"] == "1":
            checks += 1
            return listed("b", version=newest)
        lists += 1
        return listed("a", version="10") if lists == 1 else listed("b", version="11")

    async with reflecting(tmp_path, answer, told):
        await eventually(lambda: checks >= 3)
        assert told.names == ({"b"} if newest == "9" else {"a"})
        assert (lists > 1) == (newest == "9")


@pytest.mark.parametrize(
    "older",
    [line("MODIFIED", pod("a")), line("BOOKMARK", {"metadata": {"resourceVersion": "15"}})],
    ids=["object", "bookmark"],
)
async def test_a_watch_that_shows_an_older_version_is_not_of_the_store_that_was_listed(
    tmp_path: Path, older: bytes
) -> None:
    told, lists = Told(), 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal lists
        if "sendInitialEvents" in request.query:
            return web.Response(status=422)
        if "watch" in request.query:
            return await (streamed(request, older) if lists == 1 else streamed(request))
        lists += 1
        return listed("a", version="100") if lists == 1 else listed("b", version="20")

    async with reflecting(tmp_path, answer, told):
        await eventually(lambda: told.names == {"b"})


async def test_watches_that_end_at_once_lead_to_a_new_list_and_stay_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "SHORT_S", MACHINE.limit_s(1.0))
    told, asked = Told(), list[str]()

    async def answer(request: web.Request) -> web.StreamResponse:
        if "sendInitialEvents" in request.query:
            return web.Response(status=422)
        if "watch" in request.query:
            asked.append("watch")
            return web.Response(content_type="application/json")
        if request.query["limit"] != "1":
            asked.append("list")
        return listed(f"after-{asked.count('list')}")

    async with reflecting(tmp_path, answer, told) as watcher:
        await eventually(lambda: asked.count("list") >= 3)
        assert asked[:9] == ["list", "watch", "watch", "watch"] * 2 + ["list"]
        assert told.names != {"after-1"}
        await stays(lambda: watcher.fault == "pods: /api/v1/pods: the watch ended at once", for_s=0.3)


async def test_refused_connections_make_no_refusal_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PARK_S", 300.0)
    monkeypatch.setattr(stream, "IDLE_S", 30.0)
    async with KubeApi() as api:
        api.create(kube_objects.namespace("shop"))
        api.create(kube_objects.pod("a", "shop"))
        async with ApiClient(api.kubeconfig(tmp_path / "kubeconfig"), "", SystemClock()) as connection:
            told = Told()
            watcher = Reflector(connection, PODS, told, SystemClock())
            async with running(watcher.run()):
                await eventually(lambda: told.names == {"a"})
                await api.down()
                # A connection that was just being opened may hang until it counts as silent.
                await eventually(lambda: watcher._retries[retry.Fault.UNREACHABLE] > retry.PARK_AFTER, 90)
                api.access.is_loaded = False
                await api.up()
                await eventually(lambda: "403" in watcher.fault)
                api.access.is_loaded = True
                api.create(kube_objects.pod("b", "shop"))
                await eventually(lambda: told.names == {"a", "b"} and not watcher.fault)


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_storage_that_initializes_is_waited_for_and_no_fault_of_what_was_read(
    tmp_path: Path, is_known: bool
) -> None:
    async with KubeApi() as api:
        api.create(kube_objects.namespace("shop"))
        async with ApiClient(api.kubeconfig(tmp_path / "kubeconfig"), "", SystemClock()) as connection:
            told = Told()
            watcher = Reflector(connection, PODS, told, SystemClock())
            if not is_known:
                api.initializing.add("pods")
            async with running(watcher.run()):
                if is_known:
                    await eventually(lambda: bool(api.watches))
                    api.initializing.add("pods")
                    api.cut()
                    await eventually(lambda: watcher._retries[retry.Fault.BUSY] >= 2)
                    assert not watcher.fault
                else:
                    await eventually(lambda: "429" in watcher.fault)
                api.initializing.clear()
                api.create(kube_objects.pod("b", "shop"))
                await eventually(lambda: told.names == {"b"} and not watcher.fault)
