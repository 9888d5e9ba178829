"""What a list is: a state at one version, whole or page by page."""

import base64
import json

import pytest

from support.kubernetes import Json
from support.kubernetes_site import Site


def names(answer: Json) -> list[str]:
    return [item["metadata"]["name"] for item in answer["items"]]


async def fill(site: Site, *found: str) -> None:
    for name in found:
        await site.create(name)


async def test_a_list_carries_a_version_and_its_items_do_not_repeat_their_kind(site: Site) -> None:
    await fill(site, "one")
    answer = await site.list()
    assert (answer["kind"], answer["apiVersion"]) == ("ConfigMapList", "v1")
    assert answer["metadata"]["resourceVersion"]
    assert "kind" not in answer["items"][0]
    assert "apiVersion" not in answer["items"][0]


async def test_an_empty_list_has_an_empty_array(site: Site) -> None:
    assert (await site.list())["items"] == []


async def test_pages_follow_the_names_and_the_last_has_no_token(site: Site) -> None:
    await fill(site, "c", "a", "e", "d", "b")
    found, token = [], ""
    while True:
        page = await site.list(limit="2", **({"continue": token} if token else {}))
        found.append(names(page))
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert found == [["a", "b"], ["c", "d"], ["e"]]


async def test_every_page_shows_the_state_and_the_version_of_the_first(site: Site) -> None:
    await fill(site, "a", "b", "c", "d")
    first = await site.list(limit="2")
    await site.delete("c")
    await site.create("b2")
    await site.change("d", new="value")
    second = await site.list(limit="2", **{"continue": first["metadata"]["continue"]})
    assert names(second) == ["c", "d"]
    assert "data" not in second["items"][1]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert names(await site.list()) == ["a", "b", "b2", "d"]


async def test_a_page_of_everything_says_how_many_remain(site: Site) -> None:
    for name in ("a", "b", "c"):
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
        await site.client.do("POST", site.path("secrets"), body)
    page = await site.client.do("GET", site.path("secrets"), query={"limit": "1"})
    assert page["metadata"]["remainingItemCount"] >= 2
    assert "remainingItemCount" not in (await site.list(limit="1"))["metadata"], "not known with a selector"


async def test_a_page_that_has_expired_is_410_with_a_token_that_leads_on(site: Site) -> None:
    await fill(site, "a", "b", "c")
    page = await site.list(limit="1")
    token = json.loads(padded(page["metadata"]["continue"])) | {"rv": 1}
    old = base64.urlsafe_b64encode(json.dumps(token).encode()).decode().rstrip("=")
    answer = await site.client.get(site.path("configmaps"), query={"limit": "1", "continue": old})
    assert (answer.status, answer.body["reason"], answer.body["code"]) == (410, "Expired", 410)
    assert answer.body["kind"] == "Status"
    rest = await site.list(**{"continue": answer.body["metadata"]["continue"]})
    assert names(rest) == ["b", "c"]


async def test_a_token_that_is_none_is_refused(site: Site) -> None:
    answer = await site.client.get(site.path("configmaps"), query={"limit": "1", "continue": "nonsense"})
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")


async def test_a_version_that_the_server_does_not_know_yet_is_a_timeout(site: Site) -> None:
    version = str(int(await site.version()) + 10_000_000)
    answer = await site.client.get(site.path("configmaps"), query={"resourceVersion": version})
    assert (answer.status, answer.body["reason"]) == (504, "Timeout")
    assert answer.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_an_exact_version_that_is_compacted_is_410(site: Site) -> None:
    answer = await site.client.get(
        site.path("configmaps"), query={"resourceVersion": "1", "resourceVersionMatch": "Exact"}
    )
    assert (answer.status, answer.body["reason"]) == (410, "Expired")


async def test_an_exact_version_shows_what_was_then(site: Site) -> None:
    await fill(site, "a", "b")
    version = await site.version()
    await site.delete("a")
    answer = await site.list(resourceVersion=version, resourceVersionMatch="Exact")
    assert names(answer) == ["a", "b"]
    assert answer["metadata"]["resourceVersion"] == version


@pytest.mark.parametrize("version", ["0", "last"])
async def test_a_list_not_older_than_a_version_is_never_older(site: Site, version: str) -> None:
    await fill(site, "a")
    known = await site.version()
    answer = await site.list(resourceVersion=known if version == "last" else "0")
    if version == "last":
        assert names(answer) == ["a"]
        assert int(answer["metadata"]["resourceVersion"]) >= int(known)
    else:
        assert set(names(answer)) <= {"a"}


async def test_a_match_without_a_version_is_invalid(site: Site) -> None:
    answer = await site.client.get(site.path("configmaps"), query={"resourceVersionMatch": "NotOlderThan"})
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("tier=web", ["a", "b"]),
        ("tier==web,zone!=one", ["b"]),
        ("tier!=web,suite=kgents", ["c", "d"]),
        ("tier in (web, db)", ["a", "b", "c"]),
        ("tier notin (web,db),suite", ["d"]),
        ("!tier,suite", ["d"]),
        ("tier", ["a", "b", "c"]),
    ],
)
async def test_a_label_selector_selects(site: Site, selector: str, expected: list[str]) -> None:
    base = {"suite": "kgents"}
    await site.create("a", labels=base | {"tier": "web", "zone": "one"})
    await site.create("b", labels=base | {"tier": "web"})
    await site.create("c", labels=base | {"tier": "db"})
    await site.create("d", labels=base)
    assert names(await site.list(labelSelector=selector)) == expected


async def test_a_field_selector_selects_by_name(site: Site) -> None:
    await fill(site, "a", "b", "c")
    assert names(await site.list(fieldSelector="metadata.name=b")) == ["b"]
    assert names(await site.list(fieldSelector="metadata.name!=b")) == ["a", "c"]


@pytest.mark.parametrize("query", [{"fieldSelector": "data.secret=x"}, {"labelSelector": "a in b"}, {"limit": "few"}])
async def test_what_cannot_be_selected_is_a_bad_request(site: Site, query: dict[str, str]) -> None:
    answer = await site.client.get(site.path("configmaps"), query=query)
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")


def padded(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
