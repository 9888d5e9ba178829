"""The engine, or the way to it, goes away: nothing is lost, doubled, or removed that is still there."""

from pathlib import Path

import pytest

from support.docker_watched import SocketProxy, Watched, summary
from support.truth import last_seq
from support.waiting import eventually, within

pytestmark = pytest.mark.timeout(120)  # the first test starts the engine


async def test_a_restart_of_the_collector_publishes_nothing_but_what_changed_meanwhile(docker: Watched) -> None:
    for name in ("stays", "goes"):
        await docker.api.run(name)
    async with docker.collector() as collector:
        await docker.state("in_sync")
        await docker.agrees()
        assert await collector.stop() == 0
        before = await last_seq(docker.bus, "KGENTS_ENTITY")
        collector.start()
        await docker.state("in_sync")
        assert await last_seq(docker.bus, "KGENTS_ENTITY") == before
        assert await collector.stop() == 0
        await docker.api.remove("goes")
        collector.start()
        await docker.goes("container", "goes")
        assert await last_seq(docker.bus, "KGENTS_ENTITY") == before + 1
        await docker.agrees()


async def test_an_idle_engine_is_read_again_and_publishes_no_change(docker: Watched) -> None:
    await docker.api.network("blue")
    await docker.api.volume("data")
    write = "while :; do touch /data/a; sleep 0.3; rm /data/a; done"  # what it writes is no change of the volume
    await docker.api.run("web", "sh", "-c", write, host={"NetworkMode": "blue", "Binds": ["data:/data"]})
    async with docker.collector(resync_interval_s=1):
        await docker.state("in_sync")
        await docker.agrees()
        before = await last_seq(docker.bus, "KGENTS_ENTITY"), len(await docker.log("event"))
        pulses = await last_seq(docker.bus, "KGENTS_PULSE")

        async def some_rounds_later() -> bool:
            return await last_seq(docker.bus, "KGENTS_PULSE") >= pulses + 6  # two in each round of a second

        await eventually(some_rounds_later)
        assert (await last_seq(docker.bus, "KGENTS_ENTITY"), len(await docker.log("event"))) == before


async def test_an_engine_that_is_down_deletes_nothing_and_is_read_again_when_it_is_back(docker: Watched) -> None:
    await docker.api.run("once")
    await docker.api.run("always", host={"RestartPolicy": {"Name": "always"}})
    async with docker.collector():
        await docker.state("in_sync")
        await docker.becomes("once", "running")
        docker.engine.stop()
        try:
            await docker.state("degraded", "no such socket")
            assert {"once", "always"} <= {name for _, name in await docker.entities()}
        finally:
            docker.engine.start()
        await docker.state("in_sync")

        async def has_ended() -> bool:  # stopped by the engine, if its last events arrived
            found = await docker.named("container", "once")
            return found is not None and found.attributes.get("kgents.docker.exit_code") == 137

        await eventually(has_ended)
        await docker.becomes("always", "running")
        await docker.agrees()


async def test_a_killed_engine_is_found_again(docker: Watched) -> None:
    await docker.api.run("web")
    async with docker.collector():
        await docker.state("in_sync")
        await docker.agrees()
        docker.engine.kill()
        try:
            await docker.state("degraded", "nothing listens there")
        finally:
            docker.engine.start()
        await docker.state("in_sync")
        await docker.agrees()
        await docker.api.run("new")
        await docker.becomes("new", "running")


async def test_a_frozen_engine_is_noticed_and_its_entities_stay(docker: Watched) -> None:
    await docker.api.run("web")
    async with docker.collector(request_timeout_s=1):
        await docker.state("in_sync")
        before = await docker.entities()
        docker.engine.pause()
        try:
            await docker.state("degraded", "within 1 s; is the engine stopped or overloaded?")
            assert await docker.entities() == before
        finally:
            docker.engine.resume()
        await docker.state("in_sync")
        await docker.api.remove("web")
        await docker.goes("container", "web")


async def test_no_event_is_lost_or_doubled_over_broken_connections(docker: Watched, tmp_path: Path) -> None:
    proxy = SocketProxy(docker.engine.socket, tmp_path / "p.sock")
    async with proxy, docker.collector({"url": proxy.url}, request_timeout_s=1):
        await docker.state("in_sync")
        for number in range(12):
            if number % 4 == 1:
                proxy.cut()
            if number % 4 == 3 or number == 0:  # also before the first event of all
                proxy.refuse()
            name = f"c{number}"
            await docker.api.run(name)
            if number % 3:
                await docker.api.remove(name)
            proxy.flow()
        await docker.state("in_sync")
        await docker.agrees()

        async def all_reported() -> bool:
            return len(await reported()) >= 12 * 2 + 8 * 3

        async def reported() -> list[str]:
            events = [each for each in await docker.log("event") if each["ref"]["kind"] == "container"]
            return sorted(f"{each['ref']['name']} {each['reason']}" for each in events)

        await eventually(all_reported)
        expected = [
            f"c{number} {reason}"
            for number in range(12)
            for reason in ("Created", "Started", *(("Killed", "Died", "Removed") if number % 3 else ()))
        ]
        assert await reported() == sorted(expected)


async def test_an_answer_that_is_cut_short_is_no_answer(docker: Watched, tmp_path: Path) -> None:
    for name in ("one", "two"):
        await docker.api.run(name)
    proxy = SocketProxy(docker.engine.socket, tmp_path / "p.sock")
    async with proxy, docker.collector({"url": proxy.url}, resync_interval_s=1):
        await docker.state("in_sync")
        await docker.agrees()
        seq = await last_seq(docker.bus, "KGENTS_ENTITY")
        for words in (b'"Names"', b'"Mounts"', b'"ServerVersion"', b'"RepoTags"', b'"ApiVersion"'):
            broken = proxy.break_at(words)
            if words == b'"ApiVersion"':
                proxy.cut()  # it is requested once for each connection only
            async with within(20):
                await broken.wait()
            await docker.state("in_sync")
        assert await last_seq(docker.bus, "KGENTS_ENTITY") == seq
        broken = proxy.break_at(b'"Action":"start"')
        await docker.api.run("three")
        async with within(20):
            await broken.wait()
        await docker.becomes("three", "running")
        await docker.agrees()


async def test_a_silent_connection_is_noticed_and_left(docker: Watched, tmp_path: Path) -> None:
    proxy = SocketProxy(docker.engine.socket, tmp_path / "p.sock")
    async with proxy, docker.collector({"url": proxy.url}, request_timeout_s=1):
        await docker.state("in_sync")
        for number in range(2):
            proxy.stall()
            await docker.state("degraded", "did not answer")
            await docker.api.run(f"c{number}")
            proxy.flow()
            await docker.state("in_sync")
            await docker.becomes(f"c{number}", "running")
        await docker.agrees()


async def test_one_engine_that_is_down_holds_up_none_of_the_others(docker: Watched, tmp_path: Path) -> None:
    await docker.api.run("web")
    async with SocketProxy(docker.engine.socket, tmp_path / "p.sock") as proxy:
        engines = (
            {"url": docker.engine.url},
            {"name": "far", "url": docker.engine.tls_url, "tls": docker.engine.tls},
            {"name": "lame", "url": proxy.url},
        )
        async with docker.collector(*engines, request_timeout_s=1) as collector:
            await docker.state("in_sync")
            for name in ("web", "far/web", "lame/web"):
                await docker.becomes(name, "running")
            proxy.refuse()
            await docker.state("degraded", proxy.url)
            assert await collector.stop() == 0  # also when it never saw the lame one in its life
            collector.start()
            await docker.state("degraded", proxy.url)
            await docker.api.remove("web")
            await docker.api.run("new")
            for name in ("new", "far/new"):
                await docker.becomes(name, "running")
            for name in ("web", "far/web"):
                await docker.goes("container", name)
            assert await docker.named("container", "lame/web") is not None
            assert await docker.named("container", "lame/new") is None
            proxy.flow()
            await docker.becomes("lame/new", "running")
            await docker.goes("container", "lame/web")
        async with docker.collector(*engines[:2]):  # the slow one is no longer configured
            await docker.goes("container", "lame/new")
            await docker.state("in_sync")
            assert await docker.named("host", "lame") is None
            assert {name for kind, name, _ in summary(await docker.entities()) if kind == "container"} == {
                "new", "far/new",
            }  # fmt: skip
