"""What a watch is: everything that happens after a version, once and in order."""

import pytest

from support.kubernetes import Json, Stream
from support.kubernetes_site import Site
from support.waiting import stays_silent

WATCH_LIST = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
BOOKMARK_WITHIN_S = 100
"""Real servers send one a minute."""
SILENT_FOR_S = 2


def told(events: list[Json]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"]["name"]) for event in events]


def version_of(event: Json) -> int:
    return int(event["object"]["metadata"]["resourceVersion"])


async def initial(stream: Stream) -> tuple[list[Json], Json]:
    """What comes before the mark, and the mark."""
    if stream.status == 422:
        pytest.skip("this server has no WatchList")
    found: list[Json] = []
    while True:
        event = await stream.next()
        assert event is not None
        if event["type"] == "BOOKMARK" and "k8s.io/initial-events-end" in event["object"]["metadata"]["annotations"]:
            return found, event
        found.append(event)


async def test_a_watch_says_what_happened_after_a_version_and_nothing_else(site: Site) -> None:
    await site.create("before")
    version = await site.version()
    await site.create("one")
    async with site.watch(resourceVersion=version) as stream:
        await site.change("one", key="value")
        await site.delete("before")
        events = await stream.take(3)
    assert told(events) == [("ADDED", "one"), ("MODIFIED", "one"), ("DELETED", "before")]
    assert [version_of(event) for event in events] == sorted({version_of(event) for event in events})
    assert (events[0]["object"]["kind"], events[0]["object"]["apiVersion"]) == ("ConfigMap", "v1")


async def test_a_watch_from_a_version_not_reached_yet_is_accepted_and_silent(site: Site) -> None:
    version = int(await site.version()) + 1_000_000
    async with site.watch(resourceVersion=str(version), allowWatchBookmarks="true") as stream:
        assert stream.status == 200
        await site.create("one")
        await stays_silent(stream.next(), for_s=SILENT_FOR_S)


async def test_a_watch_resumed_from_an_event_neither_repeats_nor_misses(site: Site) -> None:
    version = await site.version()
    for name in ("a", "b", "c", "d"):
        await site.create(name)
    async with site.watch(resourceVersion=version) as stream:
        first = await stream.take(2)
    await site.delete("a")
    async with site.watch(resourceVersion=str(version_of(first[-1]))) as stream:
        assert told(await stream.take(3)) == [("ADDED", "c"), ("ADDED", "d"), ("DELETED", "a")]


async def test_a_deletion_shows_the_last_content_under_a_newer_version(site: Site) -> None:
    created = await site.create("one", key="value")
    async with site.watch(resourceVersion=created["metadata"]["resourceVersion"]) as stream:
        await site.delete("one")
        (deleted,) = await stream.take(1)
    assert deleted["object"]["data"] == {"key": "value"}
    assert deleted["object"]["metadata"]["uid"] == created["metadata"]["uid"]
    assert version_of(deleted) > int(created["metadata"]["resourceVersion"])


async def test_what_leaves_the_selection_is_deleted_and_what_enters_is_added(site: Site) -> None:
    await site.create("one", labels={"suite": "kgents", "tier": "web"})
    version = await site.version()
    async with site.watch(resourceVersion=version, labelSelector="tier=web") as stream:
        await site.relabel("one", tier="db")
        await site.change("one", unseen="change")
        await site.relabel("one", tier="web")
        await site.change("one", seen="change")
        left, entered, changed = await stream.take(3)
    assert [event["type"] for event in (left, entered, changed)] == ["DELETED", "ADDED", "MODIFIED"]
    assert left["object"]["metadata"]["labels"]["tier"] == "web", "as it was when it still belonged"
    assert left["object"]["metadata"]["uid"] == entered["object"]["metadata"]["uid"], "it was never gone"


async def test_a_name_that_is_used_again_has_another_uid(site: Site) -> None:
    version = await site.version()
    await site.create("one")
    await site.delete("one")
    await site.create("one")
    async with site.watch(resourceVersion=version) as stream:
        added, deleted, again = await stream.take(3)
    assert told([added, deleted, again]) == [("ADDED", "one"), ("DELETED", "one"), ("ADDED", "one")]
    uids = [event["object"]["metadata"]["uid"] for event in (added, deleted, again)]
    assert uids[0] == uids[1] != uids[2]


async def test_a_write_that_changes_nothing_makes_no_version_and_no_event(site: Site) -> None:
    created = await site.create("one", key="value")
    same = await site.change("one", key="value")
    assert same["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]
    async with site.watch(resourceVersion=created["metadata"]["resourceVersion"]) as stream:
        await site.create("two")
        assert told(await stream.take(1)) == [("ADDED", "two")]


async def test_a_watch_without_a_version_begins_with_what_is_there(site: Site) -> None:
    await site.create("a")
    await site.create("b")
    async with site.watch() as stream:
        assert sorted(told(await stream.take(2))) == [("ADDED", "a"), ("ADDED", "b")]
        await site.create("c")
        assert told(await stream.take(1)) == [("ADDED", "c")]


async def test_a_watch_list_begins_with_the_state_marks_its_end_and_goes_on(site: Site) -> None:
    await site.create("a")
    await site.create("b")
    version = int(await site.version())
    async with site.watch(**WATCH_LIST) as stream:
        state, mark = await initial(stream)
        await site.change("a", key="value")
        (after,) = await stream.take(1)
    assert sorted(told(state)) == [("ADDED", "a"), ("ADDED", "b")]
    assert version_of(mark) >= version
    assert mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true"
    assert told([after]) == [("MODIFIED", "a")]
    assert version_of(after) > version_of(mark)


async def test_a_watch_goes_on_from_the_mark_of_a_watch_list(site: Site) -> None:
    await site.create("a")
    async with site.watch(**WATCH_LIST) as stream:
        _, mark = await initial(stream)
    await site.create("b")
    async with site.watch(resourceVersion=str(version_of(mark))) as stream:
        assert told(await stream.take(1)) == [("ADDED", "b")]


async def test_an_empty_watch_list_is_only_its_mark(site: Site) -> None:
    async with site.watch(**WATCH_LIST) as stream:
        state, mark = await initial(stream)
    assert state == []
    assert version_of(mark) > 0


async def test_a_watch_list_needs_its_match(site: Site) -> None:
    answer = await site.client.get(
        site.path("configmaps"), query={"watch": "1", "sendInitialEvents": "true", "timeoutSeconds": "1"}
    )
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")


@pytest.mark.timeout(150)
async def test_a_bookmark_is_nothing_but_a_version_to_go_on_from(site: Site) -> None:
    version = await site.version()
    async with site.watch(resourceVersion=version, allowWatchBookmarks="true", timeoutSeconds="140") as stream:
        bookmark = await stream.bookmark(BOOKMARK_WITHIN_S)
    assert bookmark["kind"] == "ConfigMap"
    assert int(bookmark["metadata"]["resourceVersion"]) >= int(version)
    assert "name" not in bookmark["metadata"]
    assert "data" not in bookmark
    await site.create("later")
    async with site.watch(resourceVersion=bookmark["metadata"]["resourceVersion"]) as stream:
        assert told(await stream.take(1)) == [("ADDED", "later")]


async def test_a_watch_from_a_compacted_version_is_gone_by_status_or_by_an_error_event(site: Site) -> None:
    async with site.watch(resourceVersion="1", timeoutSeconds="3") as stream:
        if stream.status == 410:
            return
        events = await stream.until_end()
    assert [event["type"] for event in events] == ["ERROR"]
    assert events[0]["object"]["kind"] == "Status"
    assert events[0]["object"]["code"] == 410
    assert events[0]["object"]["reason"] in ("Expired", "Gone")


async def test_a_watch_ends_cleanly_at_its_timeout(site: Site) -> None:
    async with site.watch(resourceVersion=await site.version(), timeoutSeconds="1") as stream:
        assert [event for event in await stream.until_end() if event["type"] != "BOOKMARK"] == []


async def test_a_watch_of_one_name_sees_only_that(site: Site) -> None:
    version = await site.version()
    async with site.watch(resourceVersion=version, fieldSelector="metadata.name=mine") as stream:
        await site.create("other")
        await site.create("mine")
        assert told(await stream.take(1)) == [("ADDED", "mine")]
