"""What the API server shows, in whatever order it comes: a newer version stays, unless the store itself went back."""

from typing import Any

from kgents_operator.kinds import BY_KIND
from kgents_operator.store import Objects

KEY = ("shop", "orders")
LABEL = "kgents.io/postgrescluster"


def statefulset(version: int, replicas: int) -> dict[str, Any]:
    metadata = {"name": "orders", "namespace": "shop", "uid": "u-1", "resourceVersion": str(version)}
    return {"metadata": metadata | {"labels": {LABEL: "orders"}}, "spec": {"replicas": replicas}}


def known(objects: Objects) -> int:
    return int(objects.found[KEY].content["spec"]["replicas"])


async def test_an_answer_to_a_write_is_not_undone_by_the_watch_that_follows_it() -> None:
    objects = Objects(BY_KIND["StatefulSet"], lambda _: None, LABEL)
    watched = objects.of("")
    watched.put(KEY, statefulset(5, 1))
    await watched.complete([KEY])
    objects.put(KEY, statefulset(9, 3))
    watched.put(KEY, statefulset(7, 2))
    assert known(objects) == 3
    watched.put(KEY, statefulset(9, 3))
    await watched.complete([KEY])
    assert known(objects) == 3


async def test_what_a_store_shows_that_was_restored_from_a_copy_is_believed() -> None:
    touched: list[tuple[str, str]] = []
    objects = Objects(BY_KIND["StatefulSet"], touched.append, LABEL)
    watched = objects.of("")
    objects.put(KEY, statefulset(9, 3))
    touched.clear()
    watched.put(KEY, statefulset(4, 1))
    await watched.complete([KEY])
    assert known(objects) == 1
    assert touched == [KEY], "it is its turn"
