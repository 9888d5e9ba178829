"""What happens to containers, as a subscriber sees it."""

import json
import os
import signal
from pathlib import Path
from typing import cast

import pytest

from kgents_shared.contract.entity import Entity
from support.docker_watched import Watched, connection, edges, ref
from support.story_incidents import causes, incidents
from support.story_observed import of_messages
from support.waiting import eventually

pytestmark = pytest.mark.timeout(120)  # the first test starts the engine


async def test_a_container_is_followed_from_its_creation_to_its_end(docker: Watched) -> None:
    async with docker.collector():
        await docker.state("in_sync")
        id_ = await docker.api.create("web")
        assert (await docker.becomes("web", "pending", "Created")).uid == id_
        await docker.api.do("web", "start")
        running = await docker.becomes("web", "running")
        await docker.api.do("web", "pause")
        await docker.becomes("web", "pending", "Paused")
        await docker.api.do("web", "unpause")
        assert await docker.becomes("web", "running") == running
        await docker.api.do("web", "rename?name=front")
        await docker.goes("container", "web")
        assert (await docker.becomes("front", "running")).uid == id_
        os.kill((await docker.api.inspect("front"))["State"]["Pid"], signal.SIGKILL)
        killed = await docker.becomes("front", "failed", "Killed")  # 137 alone is not a lack of memory
        assert killed.attributes["kgents.docker.exit_code"] == 137
        await docker.api.remove("front")
        await docker.goes("container", "front")

        async def reported() -> list[str]:
            found = [each["reason"] for each in await docker.log("event") if each["ref"]["kind"] == "container"]
            return found if "Removed" in found else []

        assert await eventually(reported) == [
            "Created", "Started", "Paused", "Unpaused", "Renamed", "Died", "Removed",
        ]  # fmt: skip


STOPS = {
    "stop?t=0": "docker stop, whose patience ended: 137",
    "kill?signal=9": "docker kill",
    "stop?t=20": "docker stop: 143",
}


async def test_a_stop_on_purpose_is_no_failure_whatever_the_exit_code(docker: Watched) -> None:
    """Also for a collector that was away meanwhile, and for one that starts with nothing published."""
    ends_itself = "trap 'exit 7' TERM; while :; do sleep 0.05; done"
    async with docker.collector() as collector:
        await docker.state("in_sync")
        for number, stop in enumerate(STOPS):
            await docker.api.run(f"seen{number}", *(("sh", "-c", ends_itself) if "t=20" in stop else ()))
            await docker.becomes(f"seen{number}", "running")
            await docker.api.do(f"seen{number}", stop)
            await docker.becomes(f"seen{number}", "succeeded", "Stopped")
        for name in ("known", "killed"):
            await docker.api.run(name)
            await docker.becomes(name, "running")
        assert await collector.stop() == 0
        await docker.api.do("known", "stop?t=0")
        os.kill((await docker.api.inspect("killed"))["State"]["Pid"], signal.SIGKILL)
        for name in ("new", "newly_killed"):
            await docker.api.run(name)
        await docker.api.do("new", "stop?t=0")
        os.kill((await docker.api.inspect("newly_killed"))["State"]["Pid"], signal.SIGKILL)
        collector.start()
        for name in ("known", "new", "seen0", "seen1", "seen2"):
            await docker.becomes(name, "succeeded", "Stopped")
        for name in ("killed", "newly_killed"):
            await docker.becomes(name, "failed", "Killed")
        at = len([each for each in await docker.log("event") if each["ref"]["name"] == "new"])
    failed = [
        each["ref"]["name"]
        for each in map(json.loads, await docker.stored("KGENTS_ENTITY"))
        if each["status"] == "failed" and each["ref"]["name"] not in ("killed", "newly_killed")
    ]
    assert (failed, at) == ([], 0)  # what happened before it began is no news of this collector


async def test_what_is_planned_opens_no_incident_and_what_crashes_beside_it_does(docker: Watched) -> None:
    """On a real engine: a restart, a stop for good, and the new one of a rolling replacement beside the old one."""
    names = ("restarted", "stopped", "old", "crashed")
    async with docker.collector(), docker.heard() as heard:
        for name in names:
            await docker.api.run(name)
        for name in names:
            await docker.becomes(name, "running")
        await docker.api.do("restarted", "restart?t=0")
        await docker.api.do("stopped", "stop?t=0")
        await docker.api.run("new")
        await docker.becomes("new", "running")
        await docker.api.do("old", "stop?t=0")
        await docker.becomes("old", "succeeded", "Stopped")
        await docker.api.remove("old")
        os.kill((await docker.api.inspect("crashed"))["State"]["Pid"], signal.SIGKILL)
        await docker.becomes("crashed", "failed", "Killed")
        await docker.becomes("stopped", "succeeded", "Stopped")
        await docker.becomes("restarted", "running")
        await docker.goes("container", "old")
        await eventually(lambda: any(b'"op":"remove"' in each and b'"old"' in each for each in heard))
    assert causes(incidents(of_messages(heard, "test"), until="1h")) == ["container crashed KG-001"]


async def test_an_end_that_no_event_speaks_of_raises_nothing_unless_it_was_seen_running(docker: Watched) -> None:
    for name in ("old", "mine"):
        await docker.api.run(name)
    await docker.api.do("old", "kill?signal=9")
    docker.engine.stop()  # its events are gone
    docker.engine.start()
    async with docker.engine.api() as api:
        await api.do("mine", "start")
    async with docker.collector():
        await docker.becomes("old", "succeeded", "EndNotObserved")
        await docker.becomes("mine", "running")
        async with docker.engine.api() as api:
            pid = (await api.inspect("mine"))["State"]["Pid"]
        docker.engine.kill()
        os.kill(pid, signal.SIGKILL)
        docker.engine.start()
        await docker.becomes("mine", "failed", "Killed")
        await docker.becomes("old", "succeeded", "EndNotObserved")


async def test_exit_codes_distinguish_success_a_request_to_end_and_failure(docker: Watched) -> None:
    async with docker.collector():
        await docker.state("in_sync")
        await docker.api.run("good", "true")
        await docker.api.run("bad", "sh", "-c", "exit 3")
        await docker.api.run("asked", "sh", "-c", "kill -TERM $$; exit 143")
        await docker.becomes("good", "succeeded", "Completed")
        await docker.becomes("bad", "failed", "Error")
        await docker.becomes("asked", "succeeded", "Stopped")

        async def reported() -> bool:
            return "container bad ended with exit code 3." in {each["text"] for each in await docker.log("event")}

        await eventually(reported)


async def test_an_oom_kill_differs_from_another_kill(docker: Watched, tmp_path: Path) -> None:
    signs = tmp_path / "signs"
    signs.mkdir()
    async with docker.collector():
        await docker.state("in_sync")
        # The engine's shim counts OOM kills from the moment that a start returns; one before stays unseen, and the end
        # is then a plain 137. So the child waits for a file before it takes its memory, and the container ends only
        # after the kill was reported.
        eat = f"{_until('eat')}; (x=a; while true; do x=$x$x; done); {_until('end')}; exit 137"
        limits = {"Memory": 8 * 1024**2, "MemorySwap": 8 * 1024**2}
        await docker.api.run("greedy", "sh", "-c", eat, host={**limits, "Binds": [f"{signs}:/signs:ro"]})
        (signs / "eat").touch()

        async def severities() -> dict[str, str]:
            return {each["reason"]: each["severity"] for each in await docker.log("event")}

        async def oom_reported() -> bool:
            return "OOM" in await severities()

        await eventually(oom_reported)
        (signs / "end").touch()
        entity = await docker.becomes("greedy", "failed", "OOMKilled")
        assert entity.attributes["kgents.docker.oom_killed"] is True

        async def end_reported() -> bool:
            return "Died" in await severities()

        await eventually(end_reported)
        severity = await severities()
    assert (severity["OOM"], severity["Died"]) == ("error", "warning")


def _until(sign: str) -> str:
    """A command that ends once this file exists."""
    return f"until test -e /signs/{sign}; do sleep 0.05; done"


async def test_a_crash_loop_is_one_state_and_ends_when_the_container_stays_up(docker: Watched) -> None:
    async with docker.collector():
        await docker.state("in_sync")
        # It fails until it may stay, by a file in its volume.
        stay = "test -e /data/stay && exec sleep 1000; exit 1"
        await docker.api.volume("data")
        await docker.api.run(
            "loop", "sh", "-c", stay, host={"RestartPolicy": {"Name": "always"}, "Binds": ["data:/data"]}
        )
        first = await docker.becomes("loop", "failed", "CrashLoopBackOff")
        turned: list[Entity] = []

        async def more_restarts() -> bool:
            found = await docker.becomes("loop", "failed", "CrashLoopBackOff")
            turned.extend([found] if found not in turned else [])
            return restarts(found) >= restarts(first) + 2

        def restarts(entity: Entity) -> int:
            return cast("int", entity.attributes["kgents.docker.restart_count"])

        await eventually(more_restarts)
        assert {(each.status, tuple(each.addresses)) for each in turned} == {("failed", ())}
        await docker.api.run("helper", "touch", "/data/stay", host={"Binds": ["data:/data"]})
        await docker.becomes("loop", "running")


async def test_a_health_check_that_fails_turns_a_container_unhealthy_and_back(docker: Watched) -> None:
    check = {"Test": ["CMD", "test", "-e", "/well"], "Interval": 200_000_000, "Timeout": 2_000_000_000, "Retries": 2}
    async with docker.collector():
        await docker.state("in_sync")
        await docker.api.run("web", "sh", "-c", "touch /well; exec sleep 1000", Healthcheck=check)
        entity = await docker.becomes("web", "running")
        assert entity.attributes["kgents.docker.health"] == "healthy"
        exec_ = await docker.api.call("POST", "containers/web/exec", {"Cmd": ["rm", "/well"]})
        await docker.api.call("POST", f"exec/{exec_['Id']}/start", {"Detach": True})
        await docker.becomes("web", "failed", "Unhealthy")

        async def reported() -> bool:
            return "HealthUnhealthy" in [each["reason"] for each in await docker.log("event")]

        await eventually(reported)
        events = [each for each in await docker.log("event") if each["ref"]["kind"] == "container"]
    assert [each["reason"] for each in events] == ["Created", "Started", "HealthHealthy", "HealthUnhealthy"]


async def test_networks_and_volumes_come_and_go_with_their_connections(docker: Watched) -> None:
    async with docker.collector():
        await docker.state("in_sync")
        await docker.api.network("blue")
        await docker.api.volume("data")
        await docker.api.run(
            "web", host={"NetworkMode": "blue", "Binds": ["data:/data:ro", "/usr:/host:ro"]},
            ExposedPorts={"80/tcp": {}},
        )  # fmt: skip
        entity = await docker.becomes("web", "running")
        address = (await docker.api.inspect("web"))["NetworkSettings"]["Networks"]["blue"]["IPAddress"]
        assert entity.addresses == [address, f"{address}:80"]
        assert connection(entity, "network blue").attributes["network.local.address"] == address
        assert connection(entity, "volume data").attributes == {"kgents.docker.mounts": ["/data:ro"]}
        host = next(peer for kind, _, peer in edges(entity) if kind == "runs_on")
        volume = [each for each in entity.connections if str(each.peer) == host and each.kind == "volume"]
        assert volume[0].attributes == {"kgents.docker.binds": ["/usr:/host:ro"]}

        await docker.api.network("green")
        body = {"Container": "web", "EndpointConfig": {"Aliases": ["front"]}}
        await docker.api.call("POST", "networks/green/connect", body)

        async def is_in_green() -> bool:
            found = await docker.named("container", "web")
            return found is not None and ("network", "out", "network green") in edges(found)

        await eventually(is_in_green)
        entity = await docker.becomes("web", "running")
        assert {"front", "front.green", "web.blue", "web.green", "web"} <= set(entity.aliases)
        await docker.api.call("POST", "networks/green/disconnect", {"Container": "web"})
        await docker.api.call("DELETE", "networks/green")
        await docker.goes("network", "green")

        async def is_out_of_green() -> bool:
            return not await is_in_green()

        await eventually(is_out_of_green)
        await docker.api.remove("web")
        await docker.api.call("DELETE", "volumes/data")
        await docker.goes("volume", "data")
        await docker.agrees()
        expected = [
            "NetworkConnected", "NetworkCreated", "NetworkDisconnected", "NetworkRemoved", "VolumeCreated",
            "VolumeRemoved",
        ]  # fmt: skip

        async def reported() -> list[str]:
            found = [each["reason"] for each in await docker.log("event") if each["ref"]["name"] in ("green", "data")]
            return found if len(found) >= len(expected) else []

        assert sorted(await eventually(reported)) == expected


async def test_a_compose_project_owns_its_entities_and_its_dependencies_are_connected(docker: Watched) -> None:
    def labels(service: str, **more: str) -> dict[str, str]:
        return {"com.docker.compose.project": "shop", "com.docker.compose.service": service, **more}

    async with docker.collector():
        await docker.state("in_sync")
        await docker.api.network("shop_default", **{"com.docker.compose.project": "shop"})
        host = {"NetworkMode": "shop_default"}

        def alias(name: str) -> dict[str, object]:
            return {"EndpointsConfig": {"shop_default": {"Aliases": [name]}}}

        await docker.api.run("shop-db-1", host=host, Labels=labels("db"), NetworkingConfig=alias("db"))
        depends = {"com.docker.compose.depends_on": "db:service_started:false"}
        await docker.api.run("shop-web-1", host=host, Labels=labels("web", **depends), NetworkingConfig=alias("web"))
        web = await docker.becomes("shop-web-1", "running")
        assert web.ref == ref("container", "shop-web-1", "shop")
        assert {
            ("owns", "in", "namespace shop"),
            ("depends", "out", "container shop/shop-db-1"),
            ("network", "out", "network shop_default"),
            ("depends", "out", f"image {await docker.image('kgents-test:1')}"),
        } <= edges(web)
        dependency = connection(web, "container shop/shop-db-1")
        assert dependency.attributes == {"kgents.docker.compose.condition": "service_started"}
        db = await docker.becomes("shop-db-1", "running")
        assert {"db", "db.shop_default", f"container-id:{db.uid}"} <= set(db.aliases)
        network = await docker.becomes("shop_default", "running", kind="network")
        assert ("owns", "in", "namespace shop") in edges(network)
        assert (await docker.becomes("shop", "running", kind="namespace")).attributes == {
            "kgents.docker.compose.project": "shop"
        }
        for name in ("shop-db-1", "shop-web-1"):
            await docker.api.remove(name)
        await docker.api.call("DELETE", "networks/shop_default")
        await docker.goes("namespace", "shop")


async def test_an_image_in_use_is_shown_by_its_id_with_its_tags_and_goes_with_its_last_container(
    docker: Watched,
) -> None:
    name = await docker.image("kgents-test:1")
    async with docker.collector():
        await docker.state("in_sync")
        assert await docker.named("image", name) is None
        await docker.api.run("web")
        entity = await docker.becomes(name, "running", kind="image")
        assert entity.attributes["container.image.name"] == "kgents-test"
        before = await docker.becomes("web", "running")
        assert connection(before, f"image {name}").attributes == {"kgents.docker.image.reference": "kgents-test:1"}
        await docker.api.call("POST", "images/kgents-test:1/tag?repo=alias&tag=2")
        try:

            async def has_both_tags() -> bool:
                found = await docker.named("image", name)
                return found is not None and found.attributes["container.image.tags"] == ["1", "2"]

            await eventually(has_both_tags)
        finally:
            await docker.api.call("DELETE", "images/alias:2")
        assert await docker.named("container", "web") == before
        await docker.api.remove("web")
        await docker.goes("image", name)


async def test_an_image_whose_tag_another_one_takes_over_is_still_the_one_that_its_container_runs(
    docker: Watched,
) -> None:
    await docker.engine.import_image("shop:1", "LABEL build=1")
    await docker.api.run("old", Image="shop:1")
    async with docker.collector():
        first = await docker.image("shop:1")
        await docker.becomes(first, "running", kind="image")
        await docker.engine.import_image("shop:1", "LABEL build=2")
        try:
            await docker.api.run("new", Image="shop:1")
            second = await docker.image("shop:1")
            assert second != first
            for name, image in (("new", second), ("old", first)):
                assert ("depends", "out", f"image {image}") in edges(await docker.becomes(name, "running"))
            assert "container.image.tags" in (await docker.becomes(second, "running", kind="image")).attributes

            async def is_untagged() -> bool:
                found = await docker.named("image", first)
                return found is not None and "container.image.tags" not in found.attributes

            await eventually(is_untagged)
        finally:
            await docker.engine.clear()
            await docker.api.call("DELETE", "images/shop:1?force=1", may_fail=True)
