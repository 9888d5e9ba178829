"""A story: what happens when → the real mapping → the real topology-builder → the real health-scorer → the alerts.

    story = Story()
    story.at("0s", app("web", ready("web-1"), ready("web-2")))
    story.at("5m", app("web", not_ready("web-1"), ready("web-2")))
    story.at("30m", app("web", ready("web-1"), ready("web-2")))
    story.expect(warning("KG-042", "pod shop/web-1", "20m", "30m"), until="1h")

A story states all alerts that fire, each with its check, entity, begin and end: one more, one fewer or one that fires
twice fails it. Time is virtual and goes on by the second: collectors send heartbeats, databases and engines are polled,
usage is sampled. Every message goes over the wire's codec. What happens is a step: an object as the API server prints
it (a dictionary), or a function of the `World`; `story_kubernetes`, `story_docker` and `story_database` make them.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from kgents_shared.contract.unread import Unread
from support.kube_objects import Json
from support.story_kubernetes import applied
from support.story_world import CLUSTER, Span, Step, World

RESTARTS: Final = "6m37s"
BETWEEN_S: Final = 150
TOLERANCE_S: Final = 15.0
"""How far from the stated time an alert may begin and end: a poll and a tick."""


def seconds(when: str) -> float:
    """`1h30m` → 5400."""
    assert re.fullmatch(r"(\d+h)?(\d+m)?(\d+s)?", when), when
    return float(sum(int(n) * {"h": 3600, "m": 60, "s": 1}[unit] for n, unit in re.findall(r"(\d+)([hms])", when)))


def time(when_s: float) -> str:
    """5400 → `1h30m`."""
    hours, rest = divmod(round(when_s), 3600)
    parts = ((hours, "h"), (rest // 60, "m"), (rest % 60, "s"))
    return "".join(f"{n}{unit}" for n, unit in parts if n) or "0s"


def warning(check: str, entity: str, since: str, until: str | None = None) -> Span:
    """An expected alert. Without `until` it still fires at the end."""
    return Span(check, entity, "warning", seconds(since), seconds(until) if until is not None else None)


def critical(check: str, entity: str, since: str, until: str | None = None) -> Span:
    """An expected critical alert. Without `until` it still fires at the end."""
    return Span(check, entity, "critical", seconds(since), seconds(until) if until is not None else None)


def shown(span: Span) -> str:
    """As a story states it."""
    end = f', "{time(span.until_s)}"' if span.until_s is not None else ""
    return f'{span.severity}("{span.check}", "{span.entity}", "{time(span.since_s)}"{end}),  # {span.text}'


def is_expected(found: Span, expected: Span) -> bool:
    """Whether it is this one, at its time."""
    is_same = (found.check, found.entity, found.severity) == (expected.check, expected.entity, expected.severity)
    return is_same and _near(found.since_s, expected.since_s) and _near(found.until_s, expected.until_s)


def _near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= TOLERANCE_S


class Story:
    """Steps, and what is expected of them."""

    def __init__(self) -> None:
        self._steps: list[tuple[float, Step | Json]] = []

    def at(self, when: str | float, *steps: Step | Json) -> None:
        """What happens at a time; several times the same, in the order of the calls."""
        at_s = seconds(when) if isinstance(when, str) else when
        self._steps += [(at_s, step) for step in steps]

    def every(self, interval: str, since: str, until: str) -> Iterator[float]:
        """The times of what happens again and again, `until` not included."""
        at_s = seconds(since)
        while at_s < seconds(until):
            yield at_s
            at_s += seconds(interval)

    def run(self, until: str, *, is_restarted: bool = False) -> World:
        """The world after the story; or of one in which both services restart every few minutes."""
        world, steps = World(), list(self._steps)
        if is_restarted:
            for at_s in self.every(RESTARTS, RESTARTS, until):
                steps += [(at_s, restart_scorer), (at_s + BETWEEN_S, restart_builder)]
        steps.sort(key=lambda each: each[0])
        for at_s, together in groupby(steps, key=lambda each: each[0]):
            world.go_on_until(at_s - 1)
            world.now_s = at_s
            for _, step in together:
                (applied(step) if isinstance(step, dict) else step)(world)
            world.settle()
        world.go_on_until(seconds(until))
        return world

    def expect(self, *alerts: Span, until: str, health: str = "healthy", is_restarted: bool = True) -> World:
        """Run the story: these alerts fire and no other, and the cluster ends at this level of health.

        Run it once more with services that restart all the time: it must not matter, unless `is_restarted` is False.
        """
        for restarts in (False, True) if is_restarted else (False,):
            world = self.run(until, is_restarted=restarts)
            fired, when = world.fired, " although services restarted" if restarts else ""
            missing = [each for each in alerts if not any(is_expected(one, each) for one in fired)]
            surplus = [one for one in fired if not any(is_expected(one, each) for each in alerts)]
            everything = "".join(f"\n    {shown(each)}" for each in fired) or " nothing"
            assert not missing, f"did not fire so{when}:\n    {shown(missing[0])}\n  what fired:{everything}"
            assert not surplus, f"fired unexpectedly{when}:\n    {shown(surplus[0])}\n  what fired:{everything}"
            assert len(fired) == len(alerts), f"fired more than once{when}:{everything}"
            of_cluster = world.health(f"cluster {CLUSTER}")
            assert of_cluster.level == health, f"{of_cluster.text}{when}"
        return world


# Steps of any source


def silent(source: str) -> Step:
    """The collector of a source stops: no heartbeats, no observation."""

    def step(world: World) -> None:
        world.unread.pop(source, None)

    return step


def back(source: str) -> Step:
    """It is back."""

    def step(world: World) -> None:
        world.unread.setdefault(source, [])

    return step


def cannot_read(source: str, *scopes: Unread) -> Step:
    """The heartbeats of a collector name what it cannot read; without scopes it reads everything again."""

    def step(world: World) -> None:
        world.unread[source] = list(scopes)

    return step


def restart_scorer(world: World) -> None:
    """health-scorer restarts."""
    world.restart_scorer()


def restart_builder(world: World) -> None:
    """topology-builder restarts."""
    world.restart_builder()
