"""What is compressed for a client that asks: large documents, and since Kubernetes 1.37 streamed lists."""

from pathlib import Path

import aiohttp
import pytest

from support import kube_objects
from support.kube_api import KubeApi
from support.kube_api.wire import COMPRESSED_BYTES_MIN

PODS = "/api/v1/pods"
STREAMED = {
    "watch": "1", "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true",
    "timeoutSeconds": "1",
}  # fmt: skip


async def bytes_of(api: KubeApi, encoding: str, **query: str) -> tuple[str, int, bytes]:
    """The encoding of an answer, its length on the wire, and its text."""
    headers = {"Authorization": f"Bearer {api.token}", "Accept-Encoding": encoding}
    async with (
        aiohttp.ClientSession(api.url, headers=headers) as session,
        session.get(PODS, params=query) as response,
    ):
        body = await response.read()
        return response.headers.get("Content-Encoding", ""), response.content.total_compressed_bytes or 0, body


@pytest.mark.parametrize("query", [{}, STREAMED], ids=["list", "streamed list"])
async def test_what_is_large_is_compressed_for_those_who_ask(
    api: KubeApi, tmp_path: Path, query: dict[str, str]
) -> None:
    for number in range(200):
        api.create(kube_objects.pod(f"cart-{number}", "default"))
    plain, _, body = await bytes_of(api, "identity", **query)
    encoding, sent, same = await bytes_of(api, "gzip", **query)
    assert (plain, encoding) == ("", "gzip")
    assert same == body
    assert len(body) > COMPRESSED_BYTES_MIN
    assert sent < len(body) / 4


async def test_a_watch_and_a_small_list_are_not(api: KubeApi) -> None:
    api.create(kube_objects.pod("web"))
    assert (await bytes_of(api, "gzip"))[0] == ""
    assert (await bytes_of(api, "gzip", watch="1", resourceVersion="1", timeoutSeconds="1"))[0] == ""


async def test_a_server_without_the_feature_streams_as_ever(api: KubeApi) -> None:
    api.compresses_streamed_lists = False
    api.create(kube_objects.pod("web"))
    assert (await bytes_of(api, "gzip", **STREAMED))[0] == ""
