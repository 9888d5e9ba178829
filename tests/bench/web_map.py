"""The 3D map in a real browser without a graphics card: draw calls, script of a frame, a change until it is drawn.

Script takes as long with a graphics card. The picture itself takes many times as long here, so both are measured
apart: what a graphics card changes is the time behind the last command of a frame alone.
"""

import asyncio
import statistics
import time
from functools import partial
from typing import Any, Final, NamedTuple

from bench.figures import Figure
from bench.run import Run
from bench.site import DEADLINE_S, Site, open_site
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from support.browser import chromium, page_at
from support.gateway import Running, serving
from support.map_picture import DRAWN_AT_MOST, OF_SCREENSHOTS, figure, is_drawn
from support.programs import find
from support.state import edge, make_health, make_topology, publish, subject_of
from support.waiting import eventually

LARGEST: Final = 10_000
"""Above that a page is better given a filter."""
PODS: Final = 60
"""In one namespace, with their deployment."""
FRAMES: Final = 60
CHANGES: Final = 40
SCRIPT_AT_MOST_MS: Final = 8
DRAWN_WITHIN_MS: Final = 100
"""At 1,000 entities."""
FRAME_MS: Final = 1_000 / 60
"""What is commanded within one is on the screen with the next, where a graphics card draws."""

_MOVE: Final = """
async (frames) => {
  const map = document.querySelector(".map");
  const names = map.querySelectorAll("canvas")[1];
  const { left, top, width, height } = names.getBoundingClientRect();
  const next = (before) => new Promise((done) => {
    const look = () => map.dataset.frames === before ? requestAnimationFrame(look) : done(Number(map.dataset.scriptMs));
    look();
  });
  const found = [];
  for (let index = 0; index < frames; index++) {
    const before = map.dataset.frames;
    const at = { clientX: left + width / 2, clientY: top + height / 2, bubbles: true, cancelable: true };
    names.dispatchEvent(new WheelEvent("wheel", { ...at, deltaY: index % 2 ? 60 : -60 }));
    found.push(await next(before));
  }
  return found;
}
"""
_IDLE: Final = """
async () => { for (let left = 4; left > 0; left--) await new Promise(requestAnimationFrame); }
"""
"""Until the frames before are drawn, not only handed over."""
_NEXT_FRAME: Final = """
(drawsAtOnce) => { window.nextFrame = new Promise((done) => {
  const map = document.querySelector(".map");
  const gl = map.querySelector("canvas").getContext("webgl2");
  const now = () => performance.timeOrigin + performance.now();
  const observer = new MutationObserver(() => {
    observer.disconnect();
    const commanded = now();
    if (drawsAtOnce) {
      gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
      done([commanded, now()]);
    } else requestAnimationFrame(() => done([commanded, now()]));
  });
  observer.observe(map, { attributes: true, attributeFilter: ["data-frames"] });
}); }
"""
"""When the commands of the next frame are given, and when it is drawn: `drawsAtOnce` waits for a pixel of it; else the
frame behind it begins, which it does not before this one is handed over."""


async def bench(run: Run) -> None:
    missing = [name for name in ("chromium", "playwright") if find(name) is None]
    if missing:
        run.progress(f"left out: {' and '.join(missing)} not on this machine; try `make servers`")
        return
    for size in (each for each in run.sizes if each <= LARGEST):
        async with open_site(run.directory, f"map-{size}") as site, serving(site.bus) as gateway:
            await _measure(run, site, gateway, size)


async def _measure(run: Run, site: Site, gateway: Running, size: int) -> None:
    pods = await _fill(site, gateway, size)
    address = f"{gateway.server.address}#view=space"
    async with chromium() as browser, page_at(browser, address, allowed=(OF_SCREENSHOTS,)) as page:
        started = time.perf_counter()
        await page.locator(".map-count", has_text=f"{size:,} entities").wait_for()
        await is_drawn(page)
        first_s = time.perf_counter() - started
        run.progress(f"{size:,} entities: {FRAMES} frames, {CHANGES} changes")
        scripts = sorted(await page.evaluate(_MOVE, run.rounds(FRAMES)))
        changed = pods[: run.rounds(CHANGES)]
        session = await page.context.new_cdp_session(page)
        await session.send("Performance.enable")
        script_ms = await _script_ms(session)
        changes = [await _change(site, page, pod, level="warning") for pod in changed]
        script_ms = (await _script_ms(session) - script_ms) / len(changed)
        alone = [await _change(site, page, pod, level="healthy", draws_at_once=True) for pod in changed]
        report = partial(Figure, bench=run.name, size=size)
        calls = float(await figure(page, "calls"))
        moving, drawn = "script of a frame while the eye moves", "change published → drawn by the processor"
        whole = sorted(each.drawn_ms for each in changes)
        commanded = sorted(each.commanded_ms for each in (*changes, *alone))
        picture_ms = statistics.median(each.drawn_ms - each.commanded_ms for each in alone)
        of_change = report(name="script of a change, whole page, mean", ours=script_ms, unit="ms", at_most=FRAME_MS)
        for found in (
            report(name="draw calls", ours=calls, unit="times", at_most=DRAWN_AT_MOST),
            report(name=f"{moving}, median", ours=statistics.median(scripts), unit="ms", at_most=SCRIPT_AT_MOST_MS),
            report(name=f"{moving}, p95", ours=_share(scripts, 0.95), unit="ms"),
            of_change,
            report(name="picture of a frame, drawn by the processor", ours=picture_ms, unit="ms"),
            report(name="change published → commanded, median", ours=statistics.median(commanded), unit="ms"),
            report(
                name="change published → commanded, p99", ours=_share(commanded, 0.99), unit="ms", at_most=_limit(size)
            ),
            report(name=f"{drawn}, median", ours=statistics.median(whole), unit="ms"),
            report(name=f"{drawn}, p99", ours=_share(whole, 0.99), unit="ms"),
            report(name="first picture, after the page", ours=first_s, unit="s"),
        ):
            run.report(found)


async def _script_ms(session: Any) -> float:
    """All script that the page has run since the first time."""
    found = await session.send("Performance.getMetrics")
    return next(float(each["value"]) for each in found["metrics"] if each["name"] == "ScriptDuration") * 1_000


def _share(in_order: list[float], share: float) -> float:
    return in_order[int(len(in_order) * share)]


def _limit(size: int) -> float | None:
    return DRAWN_WITHIN_MS if size <= 1_000 else None


async def _fill(site: Site, gateway: Running, size: int) -> list[Ref]:
    pods: list[Ref] = []
    messages = []
    for number in range(size):
        namespace = f"team-{number // (PODS + 1)}"
        owner = Ref("test", "deployment", "web", namespace)
        if number % (PODS + 1) == 0:
            messages.append(make_topology(ref=owner))
        else:
            pods.append(Ref("test", "pod", f"web-{number}", namespace))
            messages.append(make_topology(ref=pods[-1], connections=[edge("owns", owner, "in")]))
    await site.flood([(subject_of(message), encode(message)) for message in messages], "KGENTS_TOPOLOGY")
    await eventually(lambda: len(gateway.gateway.current.fold) == size, 120)
    return pods


class Change(NamedTuple):
    """From the message, which is stored later still."""

    commanded_ms: float
    """Until the last command of the frame that has it."""
    drawn_ms: float


async def _change(site: Site, page: Any, pod: Ref, *, level: str, draws_at_once: bool = False) -> Change:
    await page.evaluate(_IDLE)
    await page.evaluate(_NEXT_FRAME, draws_at_once)
    published = time.time() * 1_000
    await publish(site.bus, make_health(ref=pod, level=level))
    async with asyncio.timeout(DEADLINE_S):
        commanded, drawn = await page.evaluate("window.nextFrame")
    return Change(commanded - published, drawn - published)
