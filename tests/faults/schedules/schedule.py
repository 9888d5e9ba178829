"""One schedule: a seed → steps on a site → all is healed → every guarantee is judged → the site is restarted in part.

What it finds is a list of faults, empty when all guarantees hold; its log says what was done when.
"""

import asyncio
import json
import random
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from faults.schedules import steps
from faults.schedules.checker import (
    Fault,
    Snapshot,
    dead_letter_faults,
    history_faults,
    replaced_faults,
    settled_seqs,
    state_faults,
)
from faults.schedules.names import CANARY
from faults.schedules.raw import NOTIFIED, STATE, STREAMS, Json, Reader, Stored, UnreadableError
from faults.schedules.run import Run, changes
from faults.schedules.site import Service, Site
from support.waiting import eventually

CONVERGE_S: Final = 45.0
SLOWNESS_MAX: Final = 3.0
"""Of the machine: beyond that a schedule that does not converge would cost more than ten that do."""
PAUSE_S: Final = 0.25
"""Between two judgements: each reads all streams."""
READS_MAX: Final = 3
QUIET_S: Final = 2.0
LIVE_MAX: Final = 3
"""Messages of health and alerts in a time of rest: figures of real databases move, and as time passes an alert becomes
due: the health of its entity, that of its cluster, and the alert."""
SPARED: Final = (".source._.", ".nats_client.", ".host-h1.", ".host._.h1", ".process.h1.")
"""What may change at rest: a source whose collector starts slowly, the connection of the schedule itself, and what
collector-host reads of this machine's network, where other tests run."""
RESIDENT_MAX: Final = 250 * 2**20
DISK_MAX: Final = 110 * 2**20
"""Of a service's buffers: 100 MB by default."""


@dataclass
class Result:
    """What came of a seed."""

    seed: int
    steps: list[str]
    faults: list[str]
    log: list[str] = field(repr=False)
    took_s: float = 0.0

    def __str__(self) -> str:
        verdict = "; ".join(self.faults[:3]) if self.faults else "ok"
        return f"seed {self.seed} ({', '.join(self.steps)}) {self.took_s:.0f} s: {verdict}"


async def run(site: Site, seed: int, *, only: list[int] | None = None, names: list[str] | None = None) -> Result:
    """Run a seed's schedule, or these steps with its dice; of its steps only those of these numbers, if given."""
    started = time.monotonic()
    lines: list[str] = []

    def log(text: str) -> None:
        lines.append(f"{time.monotonic() - started:7.2f} {text}")

    dice = random.Random(seed)
    names = names or steps.draw(dice, len(site.nodes))
    site.truth.begin()
    async with site.reader() as reader:
        run = Run(site, dice, reader, log)
        begin = {stream: await _created_and_last(reader, stream) for stream in (*STREAMS, *NOTIFIED)}
        for number, name in enumerate(names):
            run.dice = random.Random(f"{seed} {number}")  # a step that is left out changes none of the others
            if only is not None and number not in only:
                continue
            await changes(run)
            log(f"{name} …")
            log(f"{name}: {await steps.step(name)(run)}")
        log("heal")
        await site.heal()
        faults = [*run.faults]
        for tries in range(READS_MAX, 0, -1):  # a cluster may elect its leaders once more
            try:
                faults += [str(each) for each in await _judged(site, run, begin, log)]
                break
            except UnreadableError as error:
                log(f"cannot be read: {error}")
                if tries == 1:
                    faults.append(f"G5: the streams cannot be read: {error}")
    for fault in faults:
        log(fault)
    return Result(seed, names, faults, lines, time.monotonic() - started)


async def _judged(site: Site, run: Run, begin: dict[str, tuple[str, int]], log: Callable[[str], None]) -> list[Fault]:
    faults = await _converged(site, run.reader, log)
    has_converged = not faults
    if has_converged:
        log("converged")
        faults += await _quiet(run.reader)
        log("quiet")
    history: dict[str, list[Stored]] = {}
    for stream in (*STREAMS, *NOTIFIED):
        created, seq = begin[stream]
        now_created, now_seq = await _created_and_last(run.reader, stream)
        is_same = created == now_created and now_seq >= seq
        history[stream] = await run.reader.after(stream, seq if is_same else 0)
        if is_same and stream in ("TOPOLOGY", "HEALTH"):
            faults += replaced_faults(history[stream], run.touched)
    faults += history_faults(history, site.truth, run.touched)
    if not has_converged:
        return faults
    faults += dead_letter_faults(
        await Snapshot.read(run.reader), _still_there(run.poisoned, history), may_be_forgotten=run.has_lost_letters
    )
    faults += _of_processes(site)
    return faults or await _restarted(site, run, log)


def _still_there(poisoned: dict[str, str], history: dict[str, list[Stored]]) -> dict[str, str]:
    there = {each.subject for messages in history.values() for each in messages if each.is_ours}
    return {subject: signal for subject, signal in poisoned.items() if subject in there}


async def _converged(site: Site, reader: Reader, log: Callable[[str], None]) -> list[Fault]:
    """Wait until the streams say what is there; what still differs when the time is up."""
    faults: list[Fault] = []
    said = ""
    _, healed_seq = await _created_and_last(reader, "META")

    async def is_so() -> bool:
        nonlocal faults, said
        await asyncio.sleep(PAUSE_S)
        try:
            now = await Snapshot.read(reader)
            faults = list(state_faults(now, site.truth, site.layout, healed_seq=healed_seq))
        except UnreadableError as error:
            faults = [Fault("G5", f"the streams cannot be read: {error}")]
        if faults and (text := f"  not yet: {faults[0]} ({len(faults)})") != said:
            log(said := text)
        return not faults

    await _comes_true(is_so)
    return faults


async def _quiet(reader: Reader) -> list[Fault]:
    """For a while nothing changes, and so nothing is published."""
    for _ in range(3):  # what was on its way when all had converged, as texts
        before = await settled_seqs(reader)
        await asyncio.sleep(QUIET_S)
        news = await _news(reader, before)
        if not news:
            return []
    return [Fault("G10", f"{len(news)} messages within {QUIET_S:g} s of rest: {news[0]} {news[0].payload[:160]!r}")]


async def _comes_true(claim: Callable[[], Awaitable[bool]]) -> bool:
    """Whether a claim comes true in time, which a busy machine extends, but not beyond SLOWNESS_MAX."""
    ends_s = time.monotonic() + CONVERGE_S * SLOWNESS_MAX
    is_true = False

    async def is_decided() -> bool:
        nonlocal is_true
        is_true = await claim()
        return is_true or time.monotonic() > ends_s

    with suppress(AssertionError):
        await eventually(is_decided, CONVERGE_S)
    return is_true


def _of_processes(site: Site) -> list[Fault]:
    faults = []
    for service in site.services.values():
        if not service.is_running:
            faults.append(Fault("G5", f"{service.name} {service.instance} has ended by itself"))
        elif (found := service.resident_bytes) > RESIDENT_MAX:
            faults.append(Fault("G9", f"{service.name} uses {found >> 20} MiB"))
        if (found := sum(each.stat().st_size for each in service.data.rglob("*") if each.is_file())) > DISK_MAX:
            faults.append(Fault("G9", f"{service.name} has {found >> 20} MiB on disk"))
        if CANARY in service.log.read_text(errors="replace"):
            faults.append(Fault("G8", f"the log of {service.name} holds a secret"))
    return faults


async def _restarted(site: Site, run: Run, log: Callable[[str], None]) -> list[Fault]:
    """A service is restarted, and messages arrive again, while nothing changes: nothing is published."""
    service = run.any_service()
    name = service.name
    before = await settled_seqs(run.reader)
    started_at = _started_at(await Snapshot.read(run.reader), service)
    if run.dice.random() < 0.5:
        service.kill()
    elif await service.stop() != 0:
        return [Fault("G1", f"{name} did not end well")]
    service.start()
    log(f"restarted {name}; again: {await steps.step('duplicate')(run)}")

    async def is_back() -> bool:
        await asyncio.sleep(PAUSE_S)
        try:
            return _started_at(await Snapshot.read(run.reader), service) not in ("", started_at)
        except UnreadableError:
            return False

    if not await _comes_true(is_back):
        return [Fault("G1", f"{name} is not in sync after a restart")]
    await asyncio.sleep(1.0)
    news = await _news(run.reader, before)
    if not news:
        return []
    texts = [f"{each.subject} {each.payload[:160]!r}" for each in news]
    return [Fault("G1", f"{name} was restarted, and {len(news)} messages were published: {texts[:3]}")]


async def _news(reader: Reader, since: Mapping[str, int]) -> list[Stored]:
    """What derived streams hold that is new, but for what follows from live figures and from a slow start.

    While a service starts for longer than a heartbeat lasts, its source is stale, which is no silence broken.
    """
    found = [each for stream, seq in since.items() for each in await reader.after(stream, seq)]
    is_stale = any(".source._." in each.subject for each in found)
    news = [each for each in found if not any(token in each.subject for token in SPARED)]
    live = [each for each in news if each.stream in ("HEALTH", "ALERT")]
    return [each for each in news if each not in live] + ([] if is_stale or len(live) <= LIVE_MAX else live)


def _started_at(now: Snapshot, service: Service) -> str:
    """When the instance in sync in its cluster was started; empty if none is."""
    found: list[str] = [
        beat["started_at"]
        for name, beat in now.of(service.cluster).heartbeats()
        if name == service.reports_as and beat["state"] == "in_sync"
    ]
    return found[0] if found else ""


async def _created_and_last(reader: Reader, stream: str) -> tuple[str, int]:
    async def answer() -> Json | None:
        try:
            return await reader.info(stream)
        except UnreadableError:
            return None

    try:
        info = await eventually(answer)
    except AssertionError as error:
        raise UnreadableError(f"{stream} does not answer") from error
    return info["created"], info["state"]["last_seq"]


async def keep(site: Site, result: Result, to: Path) -> None:
    """Keep a failing schedule: its log, the streams, the logs of the services and servers."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    (to / "schedule.log").write_text("\n".join([str(result), *result.log]) + "\n")
    for log in site.directory.rglob("*.log"):
        shutil.copy(log, to / f"{log.parent.name}-{log.name}")
    async with site.reader() as reader:
        with suppress(UnreadableError), (to / "consumers.json").open("w") as file:
            for stream in STREAMS:
                found = await reader.ask(f"$JS.API.CONSUMER.LIST.KGENTS_{stream}")
                file.write(json.dumps(found, indent=1) + "\n")
        for stream in STREAMS:
            with (to / f"{stream}.jsonl").open("w") as file:
                try:
                    for each in await reader.after(stream, 0):
                        file.write(json.dumps(_record(each)) + "\n")
                except UnreadableError as error:
                    file.write(f"{error}\n")


def _record(each: Stored) -> Json:
    body = each.payload.decode(errors="replace")
    return {"seq": each.seq, "time": each.time, "subject": each.subject, "headers": each.headers, "body": body}


__all__ = ["STATE", "Result", "keep", "run"]
