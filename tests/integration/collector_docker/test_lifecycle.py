"""What happens to containers, as a subscriber sees it."""

from pathlib import Path

import pytest

from support.docker_watched import Watched, connection, edges, ref
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
        await docker.api.do("front", "kill?signal=9")
        killed = await docker.becomes("front", "failed", "Killed")  # 137 alone is not a lack of memory
        assert killed.attributes["kgents.docker.exit_code"] == 137
        await docker.api.remove("front")
        await docker.goes("container", "front")
        reported = [each["reason"] for each in await docker.log("event") if each["ref"]["kind"] == "container"]
    assert reported == [
        "Created", "Started", "Paused", "Unpaused", "Renamed", "Killed", "Died", "Removed",
    ]  # fmt: skip


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
        restarts = (await docker.api.inspect("loop"))["RestartCount"]

        async def more_restarts() -> bool:
            return bool((await docker.api.inspect("loop"))["RestartCount"] >= restarts + 2)

        before = [each for each in await docker.stored("KGENTS_ENTITY") if b'"name":"loop"' in each]
        await eventually(more_restarts)
        assert [each for each in await docker.stored("KGENTS_ENTITY") if b'"name":"loop"' in each] == before
        assert await docker.named("container", "loop") == first
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
        reported = [each["reason"] for each in await docker.log("event") if each["ref"]["name"] in ("green", "data")]
    assert sorted(reported) == [
        "NetworkConnected", "NetworkCreated", "NetworkDisconnected", "NetworkRemoved", "VolumeCreated", "VolumeRemoved",
    ]  # fmt: skip


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
            ("depends", "out", "image kgents-test:1"),
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


async def test_an_image_in_use_is_shown_under_its_tags_and_goes_with_its_last_container(docker: Watched) -> None:
    async with docker.collector():
        await docker.state("in_sync")
        assert await docker.named("image", "kgents-test:1") is None
        await docker.api.run("web")
        entity = await docker.becomes("kgents-test:1", "running", kind="image")
        assert entity.attributes["container.image.name"] == "kgents-test"
        await docker.api.call("POST", "images/kgents-test:1/tag?repo=alias&tag=2")
        try:
            renamed = await docker.becomes("alias:2", "running", kind="image")
            assert renamed.uid == entity.uid
        finally:
            await docker.api.call("DELETE", "images/alias:2")
        await docker.becomes("kgents-test:1", "running", kind="image")
        await docker.api.remove("web")
        await docker.goes("image", "kgents-test:1")


async def test_an_image_whose_tag_another_one_takes_over_goes_by_its_id(docker: Watched) -> None:
    await docker.engine.import_image("shop:1", "LABEL build=1")
    await docker.api.run("old", Image="shop:1")
    async with docker.collector():
        old = await docker.becomes("shop:1", "running", kind="image")
        await docker.engine.import_image("shop:1", "LABEL build=2")
        try:
            await docker.api.run("new", Image="shop:1")
            for name, image in (("new", "shop:1"), ("old", old.uid[: len("sha256:") + 12])):

                async def runs_it(name: str = name, image: str = image) -> bool:
                    found = await docker.named("container", name)
                    return found is not None and ("depends", "out", f"image {image}") in edges(found)

                await eventually(runs_it)
            assert (await docker.becomes("shop:1", "running", kind="image")).uid != old.uid
        finally:
            await docker.engine.clear()
            await docker.api.call("DELETE", "images/shop:1?force=1", may_fail=True)
