"""What goes wrong with services, their links, their clocks, and what they observe."""

import asyncio
from contextlib import suppress
from itertools import groupby
from typing import Final

from faults.schedules.checker import Snapshot, stale_sources
from faults.schedules.names import CLUSTER, COLLECTORS, SOURCES, Member
from faults.schedules.raw import Reader, UnreadableError
from faults.schedules.run import Run, attempt, changes
from faults.schedules.site import Service
from support.waiting import MACHINE, eventually

CLOCK_STEPS_S: Final = (-86_400, -3_600, -30, 30, 3_600, 86_400)
STALE_WITHIN_S: Final = 25.0
WORKS_WITHIN_S: Final = 30.0
HOLDS_WITHIN_S: Final = 10.0
"""NATS may be away, or a second instance hold the lease: then the schedule goes on without it."""
HOLDING: Final = ("syncing", "in_sync", "degraded")
"""States of a service that holds its lease."""
BLIND_S: Final = 1.5
WATCHED_S: Final = 4.0
"""Some heartbeats of each instance."""
TURNS_MAX: Final = 3
"""Changes of the instance that works, as heartbeats show them: to the other, and perhaps back."""


async def kill(run: Run) -> str:
    """kill -9 of a service, and its start after a while."""
    service = run.any_service()
    service.kill()
    await asyncio.sleep(run.short_s)
    service.start()
    return service.name


async def restart(run: Run) -> str:
    """SIGTERM of a service, and its start."""
    service = run.any_service()
    if service.is_running and not service.is_paused:
        await service.stop()
    service.start()
    return service.name


async def freeze(run: Run) -> str:
    """A service stands still, sometimes for longer than its lease and its heartbeat last."""
    service = run.any_service()
    service.pause()
    for_s = run.dice.choice((0.3, 1.0, 5.0))
    await asyncio.sleep(for_s)
    service.resume()
    return f"{service.name} for {for_s} s"


async def link(run: Run) -> str:
    """The connection of a service is cut, refused, stalled, slow, or open in one direction only."""
    service = run.any_service()
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
    first = run.any_service()
    name = first.name
    if (name, "three") in run.site.services or name == "gateway":  # all instances of which work
        return f"no other {name}"
    other = await run.site.add(Member(name, "three", first.cluster))
    other.start()
    await asyncio.sleep(MACHINE.limit_s(1.5))
    fate = run.dice.choice(("kill", "pause", "none"))
    if fate == "none":
        await _one_works(run, first)
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


async def _one_works(run: Run, first: Service) -> None:
    """Of two instances that are well one works: the heartbeats of both never take turns in saying so.

    One that has just lost its lease leaves a heartbeat behind, so two that work are no fault by themselves.
    """
    beats: list[tuple[int, str]] = []  # sequence and instance
    for _ in range(round(WATCHED_S / 0.2)):
        with suppress(UnreadableError):
            beats += (await working(run.reader, first.reports_as, first.cluster)).items()
        await asyncio.sleep(0.2)
    turns = [instance for instance, _ in groupby(instance for _, instance in sorted({*beats}))]
    if len(turns) > TURNS_MAX:
        run.faults.append(f"G4: {first.name}: expected one instance that works, found {turns} in turns")


async def blind_start(run: Run) -> str:
    """A collector starts while what it observes is away: it has never seen what it published before."""
    truth = run.site.truth
    name = run.dice.choice(COLLECTORS)
    service = run.site.one(name)
    service.kill()
    which = run.dice.choice(("hangs", "refuses", "forbids")) if name == "collector-k8s" else "refuses"
    proxy = {"collector-nats": truth.monitor_proxy, "collector-db": truth.redis_proxy}.get(name)
    if proxy is not None:
        proxy.refuse()
    elif which == "hangs":
        truth.api.hang()
    elif which == "refuses":
        await truth.api.down()
    else:
        truth.api.forbid("pods")
    service.start()
    await _tries_to_read(run, name, "403" if which == "forbids" else "")
    if proxy is not None:
        proxy.flow()
    elif which == "refuses":
        await truth.api.up()
    else:
        truth.api.permit("pods")
        truth.api.flow()
    return f"{name}: {which}"


async def _tries_to_read(run: Run, name: str, refusal: str) -> None:
    """Wait until a service that was started holds its lease, and has had some time to read what it observes.

    Where it is refused it says so, on a busy machine only later.
    """
    begin = await attempt(run.reader.last_seq("META"))

    async def holds_lease() -> bool:
        beats = [
            each
            for each in (await attempt(run.reader.last("META", f"kgents.meta.{CLUSTER}.>")) or {}).values()
            if each.seq > (begin or 0)
        ]
        bodies = [body for each in beats if (body := each.body) and body.get("service") == name]
        return any(each["state"] in HOLDING and refusal in str(each.get("unread")) for each in bodies)

    with suppress(AssertionError):
        await eventually(holds_lease, HOLDS_WITHIN_S)
    await asyncio.sleep(BLIND_S)


async def working(reader: Reader, service: str, cluster: str = CLUSTER) -> dict[int, str]:
    """The instances of a service that say that they work in a cluster, by the sequence of their heartbeats.

    Raises:
        UnreadableError: the streams cannot be read now.
    """
    return {
        each.seq: body["instance"]
        for each in (await reader.last("META", f"kgents.meta.{cluster}.>")).values()
        if (body := each.body)
        and (body.get("type"), body.get("service")) == ("heartbeat", service)
        and body["state"] in ("in_sync", "degraded")
    }


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
        with suppress(UnreadableError):
            return len(await working(run.reader, name)) == 1
        return False

    try:
        await eventually(attests, WORKS_WITHIN_S)
    except AssertionError:
        run.faults.append(f"G5: {name} does not work after {WORKS_WITHIN_S:g} s")
    run.site.one(name).kill()

    async def is_stale() -> bool:
        await asyncio.sleep(0.3)
        try:
            return SOURCES[name] in stale_sources((await Snapshot.read(run.reader)).of(CLUSTER))
        except UnreadableError:
            return False

    try:
        await eventually(is_stale, STALE_WITHIN_S)
    except AssertionError:
        run.faults.append(f"G3: {name} is dead, and its source is not stale after {STALE_WITHIN_S:g} s")
    run.site.one(name).start()
    return name
