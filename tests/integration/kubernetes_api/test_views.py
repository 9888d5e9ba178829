"""What a client can ask for instead of whole objects: metadata, or a table. Neither shows a value."""

import base64

from support.kubernetes_site import Site

PARTIAL_LIST = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
PARTIAL = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
TABLE = {"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1,application/json"}
CANARY = base64.b64encode(b"kgents-canary-value").decode()


async def make_secret(site: Site) -> str:
    body = {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "labels": {"suite": "kgents"}},
        "type": "Opaque", "data": {"password": CANARY, "user": CANARY},
    }  # fmt: skip
    await site.client.do("POST", site.path("secrets"), body)
    return site.path("secrets")


async def test_a_list_of_metadata_shows_no_value(site: Site) -> None:
    path = await make_secret(site)
    answer = await site.client.get(path, headers=PARTIAL_LIST, query={"labelSelector": "suite=kgents"})
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    (item,) = answer.body["items"]
    assert (item["kind"], item["metadata"]["name"]) == ("PartialObjectMetadata", "login")
    assert item.keys() == {"kind", "apiVersion", "metadata"}
    assert answer.body["metadata"]["resourceVersion"]
    assert CANARY not in answer.text


async def test_a_list_of_metadata_has_pages(site: Site) -> None:
    for name in ("a", "b", "c"):
        await site.create(name, key="value")
    query = {"labelSelector": "suite=kgents", "limit": "2"}
    first = await site.client.get(site.path("configmaps"), headers=PARTIAL_LIST, query=query)
    query["continue"] = first.body["metadata"]["continue"]
    second = await site.client.get(site.path("configmaps"), headers=PARTIAL_LIST, query=query)
    names = [item["metadata"]["name"] for answer in (first, second) for item in answer.body["items"]]
    assert names == ["a", "b", "c"]


async def test_a_watch_of_metadata_shows_no_value(site: Site) -> None:
    version = await site.version()
    async with site.client.watch(site.path("secrets"), headers=PARTIAL, query={"resourceVersion": version}) as stream:
        await make_secret(site)
        while True:
            (event,) = await stream.take(1)
            assert CANARY not in str(event)
            if event["object"]["metadata"]["name"] == "login":
                break
    assert event["type"] == "ADDED"
    assert event["object"]["kind"] == "PartialObjectMetadata"
    assert event["object"].keys() == {"kind", "apiVersion", "metadata"}


async def test_a_table_of_secrets_shows_their_type_and_count_and_no_value(site: Site) -> None:
    path = await make_secret(site)
    answer = await site.client.get(path, headers=TABLE, query={"labelSelector": "suite=kgents"})
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [column["name"] for column in answer.body["columnDefinitions"]] == ["Name", "Type", "Data", "Age"]
    (row,) = answer.body["rows"]
    assert row["cells"][:3] == ["login", "Opaque", 2]
    assert (row["object"]["kind"], row["object"]["metadata"]["name"]) == ("PartialObjectMetadata", "login")
    assert CANARY not in answer.text


async def test_metadata_still_holds_what_kubectl_wrote_into_an_annotation(site: Site) -> None:
    body = {
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"key": CANARY},
        "metadata": {"name": "one", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": CANARY}},
    }  # fmt: skip
    await site.client.do("POST", site.path("configmaps"), body)
    answer = await site.client.get(site.path("configmaps", "one"), headers=PARTIAL)
    assert "data" not in answer.body
    assert CANARY in answer.text, "metadata only is no boundary: who reads it has to drop annotations"
