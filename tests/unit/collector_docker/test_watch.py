"""What an engine does not report, or reports in part, on a modelled engine."""

import asyncio
import gc

from kgents_collector_docker.answers import EngineEvent, Inventory
from kgents_collector_docker.source.watch import Watch
from support.clock import FakeClock
from support.docker_model import Model
from support.running import running
from support.waiting import eventually


async def _on_poll() -> None: ...


def watch_of(model: Model, reported: list[EngineEvent] | None = None) -> Watch:
    return Watch(
        model,  # type: ignore[arg-type]
        FakeClock(),
        resync_interval_s=1e9,
        on_poll=_on_poll,
        on_event=(reported if reported is not None else []).append,
    )


def seen(watch: Watch) -> Inventory:
    assert watch.inventory is not None
    return watch.inventory


async def test_one_container_that_cannot_be_read_holds_up_none_of_the_others() -> None:
    model = Model()
    for id_ in ("a", "b"):
        model.do("set", id_, 1)
    model.refused = {"containers/a/json"}
    watch = watch_of(model)
    async with running(watch.run()):
        await eventually(lambda: watch.is_seen)
        assert seen(watch).containers.keys() == {"a", "b"}
        assert seen(watch).uninspected == {"a"}
        assert seen(watch).containers["a"].own_name == "a1"
        assert seen(watch).unknown.keys() == {"a"}
        assert watch.fault == "refused containers/a/json"
        model.do("remove", "b", 0)
        await eventually(lambda: seen(watch).containers.keys() == {"a"})
        assert watch.fault
        model.refused = set()
        model.do("set", "a", 1)
        await eventually(lambda: not watch.fault)
        assert seen(watch).containers == model.containers


async def test_what_was_read_once_stands_while_it_is_refused() -> None:
    model = Model()
    model.do("set", "a", 1)
    model.do("network", "n", 1)
    watch = watch_of(model)
    async with running(watch.run()):
        await eventually(lambda: watch.is_seen)
        before = seen(watch)
        model.refused = {"containers/a/json", "networks"}
        model.do("set", "a", 2)
        model.do("network", "m", 1)
        await eventually(lambda: watch.fault == "refused networks; refused containers/a/json")
        assert (seen(watch).containers, seen(watch).networks) == (before.containers, before.networks)
        model.do("remove", "a", 0)
        model.refused = set()
        model.do("network", "k", 1)
        await eventually(lambda: not watch.fault)
        assert (seen(watch).containers, seen(watch).networks) == ({}, model.networks)


async def test_a_volume_whose_driver_does_not_answer_stays() -> None:
    model = Model()
    for id_ in ("a", "b"):
        model.do("volume", id_, 1)
    watch = watch_of(model)
    async with running(watch.run()):
        await eventually(lambda: watch.is_seen)
        model.silent_volumes = {"a"}
        model.do("volume", "c", 1)
        await eventually(lambda: "a volume driver did not answer" in watch.fault)
        assert seen(watch).volumes.keys() == {"a", "b", "c"}
        model.silent_volumes = set()
        model.do("volume", "b", 1)
        await eventually(lambda: not watch.fault)
        assert seen(watch).volumes.keys() == {"a", "c"}


async def test_an_engine_that_fails_while_the_watch_ends_leaves_no_trace_in_the_log() -> None:
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["message"]))
    for turns in range(20):
        model = Model()
        watch = watch_of(model)
        async with running(watch.run()):
            await eventually(lambda watch=watch: watch.is_seen)  # type: ignore[misc]
            model.cut()
            for _ in range(turns):
                await asyncio.sleep(0)
    gc.collect()
    assert not reported


async def test_a_request_that_hangs_alone_is_reported_and_sent_again_and_the_rest_stays_in_view() -> None:
    model = Model()
    for id_ in ("a", "b"):
        model.do("set", id_, 1)
    model.do("volume", "v", 1)
    model.silent = {"containers/a/json", "volumes"}
    watch = watch_of(model)
    async with running(watch.run()):
        await eventually(lambda: watch.is_seen)
        assert watch.fault == "silent volumes; silent containers/a/json"
        model.do("set", "b", 2)
        await eventually(lambda: seen(watch).containers["b"] == model.containers["b"])
        assert watch.fault
        model.silent = set()  # which no event reports
        await eventually(lambda: not watch.fault)
        assert (seen(watch).containers, seen(watch).volumes) == (model.containers, model.volumes)


async def test_an_inspection_that_hangs_delays_no_other_one_and_comes_later() -> None:
    model = Model()
    for id_ in ("a", "b"):
        model.do("set", id_, 1)
    model.hanging = {"containers/a/json"}
    watch = watch_of(model)
    async with running(watch.run()):
        await eventually(lambda: watch.is_seen)
        assert seen(watch).containers["b"] == model.containers["b"]
        assert seen(watch).uninspected == {"a"}
        assert watch.fault == "model has not answered yet when it was asked for this container"
        for number in (2, 3):
            model.do("set", "b", number)
            await eventually(lambda: seen(watch).containers["b"] == model.containers["b"])
        model.do("set", "a", 2)
        model.do("set", "c", 2)
        await eventually(lambda: seen(watch).containers.get("c") == model.containers["c"])
        assert model.asked == ["containers/a/json"]  # one request at a time


async def test_a_container_whose_first_inspection_fails_exists_until_it_is_gone() -> None:
    model = Model()
    watch = watch_of(model)
    async with running(watch.run()):
        await eventually(lambda: watch.is_seen)
        model.silent = {"containers/a/json"}
        model.do("set", "a", 1)
        await eventually(lambda: seen(watch).uninspected == {"a"})
        assert seen(watch).unknown == {"a": "silent containers/a/json"}
        model.silent = set()
        model.do("remove", "a", 1)
        await eventually(lambda: not watch.fault)
        assert (seen(watch).containers, seen(watch).uninspected) == ({}, frozenset())
