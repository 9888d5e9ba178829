"""What goes wrong with services, their links, their clocks, and what they observe."""

import asyncio
from typing import Final

from faults.schedules.checker import Snapshot, stale_sources
from faults.schedules.raw import Reader, UnreadableError
from faults.schedules.run import Run, changes
from faults.schedules.site import COLLECTORS, SOURCES
from support.waiting import MACHINE, eventually

CLOCK_STEPS_S: Final = (-86_400, -3_600, -30, 30, 3_600, 86_400)
STALE_WITHIN_S: Final = 25.0
WORKS_WITHIN_S: Final = 30.0


async def kill(run: Run) -> str:
    """kill -9 of a service, and its start after a while."""
    service = run.site.one(run.any_service())
    service.kill()
    await asyncio.sleep(run.short_s)
    service.start()
    return service.name


async def restart(run: Run) -> str:
    """SIGTERM of a service, and its start."""
    service = run.site.one(run.any_service())
    if service.is_running and not service.is_paused:
        await service.stop()
    service.start()
    return service.name


async def freeze(run: Run) -> str:
    """A service stands still, sometimes for longer than its lease and its heartbeat last."""
    service = run.site.one(run.any_service())
    service.pause()
    for_s = run.dice.choice((0.3, 1.0, 5.0))
    await asyncio.sleep(for_s)
    service.resume()
    return f"{service.name} for {for_s} s"


async def link(run: Run) -> str:
    """The connection of a service is cut, refused, stalled, slow, or open in one direction only."""
    service = run.site.one(run.any_service())
    way = run.dice.choice(("cut", "refuse", "stall", "half_open", "delay"))
    for proxy in service.links:
        if way == "delay":
            proxy.delay_s = run.dice.choice((0.005, 0.05))
        else:
            getattr(proxy, way)()
    for_s = run.dice.choice((0.2, 1.0, 3.0, 6.0))
    await changes(run)
    await asyncio.sleep(for_s)
    for proxy in service.links:
        proxy.flow()
    return f"{service.name}: {way} for {for_s:g} s"


async def second(run: Run) -> str:
    """A second instance starts, stands by, and often takes over from the first, which is killed or stands still."""
    name = run.any_service()
    first = run.site.one(name)
    if (name, "two") in run.site.services:
        return "there is one"
    other = await run.site.add(name, "two")
    other.start()
    await asyncio.sleep(MACHINE.limit_s(1.5))
    fate = run.dice.choice(("kill", "pause", "none"))
    if fate == "none":
        await _one_works(run, name)
    if fate == "kill":
        first.kill()
    elif fate == "pause":
        first.pause()
    await changes(run)
    await asyncio.sleep(6.0 if fate == "pause" else 1.0)
    if fate == "pause":
        first.resume()
    return f"{name}: {fate}"


async def clock(run: Run) -> str:
    """The wall clock of a service's host steps; it is right again later."""
    services = [each for each in run.site.services.values() if each.own_clock]
    if not services:
        return "no service has a clock of its own"
    service = run.dice.choice(services)
    by_s = run.dice.choice(CLOCK_STEPS_S)
    service.step_clock(by_s)
    await asyncio.sleep(1.5)
    await changes(run)
    await asyncio.sleep(run.dice.choice((0.5, 4.0)))
    service.step_clock(0)
    return f"{service.name} by {by_s} s"


async def _one_works(run: Run, name: str) -> None:
    """Of two instances that are well one works at a time."""
    for _ in range(10):
        if len(found := await working(run.reader, name)) > 1:
            run.faults.append(f"G4: {name}: expected one instance that works, found {found}")
            return
        await asyncio.sleep(0.2)


async def blind_start(run: Run) -> str:
    """A collector starts while what it observes is away: it has never seen what it published before."""
    truth = run.site.truth
    name = run.dice.choice(COLLECTORS)
    proxy = {"collector-nats": truth.monitor_proxy, "collector-db": truth.redis_proxy}.get(name)
    if proxy is not None:
        proxy.refuse()
    else:
        truth.api.hang()
    service = run.site.one(name)
    service.kill()
    service.start()
    await asyncio.sleep(MACHINE.limit_s(1.0) + 2.0)
    if proxy is not None:
        proxy.flow()
    else:
        truth.api.flow()
    return name


async def working(reader: Reader, service: str) -> list[str]:
    """The instances of a service that say that they work; none if the streams cannot be read now."""
    try:
        beats = (await Snapshot.read(reader)).heartbeats()
    except UnreadableError:
        return []
    return [beat["instance"] for name, beat in beats if name == service and beat["state"] in ("in_sync", "degraded")]


async def source_away(run: Run) -> str:
    """What a collector observes is away for a while: killed, behind a dead link, or mute."""
    truth = run.site.truth
    which = run.dice.choice(("nats", "redis", "nats link", "redis link", "api", "api refuses", "api hangs", "forbid"))
    for_s = run.dice.choice((0.5, 2.0, 5.0))
    if which in ("nats", "redis"):
        server = truth.observed if which == "nats" else truth.redis
        server.kill()
        await asyncio.sleep(for_s)
        await server.start()
    elif "link" in which:
        proxy = truth.monitor_proxy if which == "nats link" else truth.redis_proxy
        getattr(proxy, run.dice.choice(("refuse", "stall", "half_open")))()
        await asyncio.sleep(for_s)
        proxy.flow()
    elif which == "api refuses":
        await truth.api.down()
        await asyncio.sleep(for_s)
        await truth.api.up()
    elif which == "forbid":
        truth.api.forbid("pods")
        truth.api.cut()
        await asyncio.sleep(for_s)
        truth.api.permit("pods")
    else:
        truth.api.cut() if which == "api" else truth.api.hang()
        await changes(run, nats_is_away=True)
        await asyncio.sleep(for_s)
        truth.api.flow()
    return f"{which} for {for_s:g} s"


async def away_and_gone(run: Run) -> str:
    """A collector is killed, and what it has published goes while it is down."""
    service = run.site.one("collector-k8s")
    service.kill()
    pods = [each["metadata"]["name"] for each in run.site.truth.api.objects("pods")]
    gone = run.dice.sample(pods, min(len(pods) - 1, 2))
    for name in gone:
        run.site.truth.remove_pod(name)
    await asyncio.sleep(run.short_s)
    service.start()
    return " ".join(gone)


async def silence(run: Run) -> str:
    """A collector is dead until the topology says that its source is stale; not one of its entities is removed."""
    await run.site.heal()
    name = run.dice.choice(COLLECTORS)

    async def attests() -> bool:
        return len(await working(run.reader, name)) == 1

    try:
        await eventually(attests, WORKS_WITHIN_S)
    except AssertionError:
        run.faults.append(f"G5: {name} does not work after {WORKS_WITHIN_S:g} s")
    run.site.one(name).kill()

    async def is_stale() -> bool:
        await asyncio.sleep(0.3)
        try:
            return SOURCES[name] in stale_sources(await Snapshot.read(run.reader))
        except UnreadableError:
            return False

    try:
        await eventually(is_stale, STALE_WITHIN_S)
    except AssertionError:
        run.faults.append(f"G3: {name} is dead, and its source is not stale after {STALE_WITHIN_S:g} s")
    run.site.one(name).start()
    return name
