"""A storm of 10,000 alerts within 25 s → incidents: how many, how right, how soon, at what cost.

It measures the pure part of alert-notifier. Half of the nodes go, their pods report it first and the nodes last; a
database goes under 50 workloads; the rest are
pods and containers with faults of their own. The storm is synthetic, and who made it knows the grouping: judge by
recorded incidents, too.
"""

import gc
import random
import time
from datetime import datetime, timedelta
from typing import Final

from bench.figures import Figure, Unit
from bench.run import Run
from kgents_alert_notifier.grouping.grouping_config import GroupingConfig
from kgents_alert_notifier.grouping.known_alert import known
from kgents_alert_notifier.grouping.reducer import Incidents
from kgents_alert_notifier.grouping.silencing import Silencing
from kgents_alert_notifier.routing.route import RouteConfig
from kgents_alert_notifier.routing.router import Router
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.topology import TopologyEntity
from support.build import NOW, make_ref
from support.grouping import alert, entity, make_database, make_node

PODS: Final = 10_000
QUICK_PODS: Final = 500
PODS_OF_WORKLOAD: Final = 10
PODS_OF_NODE: Final = 50
WORKLOADS_OF_DATABASE: Final = 50
STORM_S: Final = 25
AFTER_S: Final = 40
WAIT_S: Final = 30.0
SEED: Final = 14


async def bench(run: Run) -> None:
    world = World(QUICK_PODS if run.is_quick else PODS)
    storm = world.storm()
    run.progress(f"{len(world.entities):,} entities: {len(storm):,} alerts within {STORM_S} s")
    measured = Measured(world)
    for second in range(STORM_S + AFTER_S):
        measured.second(NOW + timedelta(seconds=second), [each for at, each in storm if at == second])
    figures: dict[str, tuple[float, Unit, float]] = {
        "CPU an alert": (measured.cpu_s / len(storm) * 1e6, "µs", 15.0),
        "longest stall": (measured.longest_s * 1e3, "ms", 50.0),
        "first incident after the first alert": (measured.first_s, "s", WAIT_S + 1),
        "incidents, to causes": (len(measured.incidents) / world.causes, "times", 1.1),
        "messages, to incidents": (measured.messages / max(1, len(measured.incidents)), "times", 3.0),
        "alerts under a wrong root": (world.wrong(measured.incidents) / len(storm), "times", 0.05),
        "messages in five minutes at rest": (measured.rest(), "messages", 0.0),
    }
    for name, (ours, unit, at_most) in figures.items():
        run.report(Figure(bench=run.name, name=name, ours=ours, unit=unit, at_most=at_most))


class World:
    """Workloads of ten pods over nodes of fifty, of which some need a database."""

    def __init__(self, pods: int) -> None:
        self._random = random.Random(SEED)
        self.nodes = [make_node(f"n{number}") for number in range(pods // PODS_OF_NODE)]
        self.databases = [make_database(f"db{number}") for number in range(max(2, pods // 500))]
        self.workloads = [make_ref(f"w{number}", kind="deployment") for number in range(pods // PODS_OF_WORKLOAD)]
        self.pods: list[tuple[Ref, Ref, Ref, Ref | None]] = []  # with its workload, node and database
        self.entities: list[TopologyEntity] = [entity(each) for each in (*self.nodes, *self.databases, *self.workloads)]
        for number in range(pods):
            workload = self.workloads[number // PODS_OF_WORKLOAD]
            group = number // PODS_OF_WORKLOAD // WORKLOADS_OF_DATABASE
            database = self.databases[group] if group < len(self.databases) else None
            node = self._random.choice(self.nodes)
            pod = make_ref(f"{workload.name}-{number}")
            needs = [("depends", database)] if database is not None else []
            self.entities.append(entity(pod, ("owns", workload, "in"), ("runs_on", node), *needs))
            self.pods.append((pod, workload, node, database))
        self.truth: dict[tuple[Ref, str], Ref] = {}
        """Alert → its true cause."""

    @property
    def causes(self) -> int:
        """How many causes there are."""
        return len(set(self.truth.values()))

    def storm(self) -> list[tuple[int, Alert]]:
        """As many alerts as pods, each with the second in which it fires."""
        gone = set(self.nodes[: len(self.nodes) // 2])
        dead = self.databases[0]
        found: list[tuple[int, Alert]] = []

        def fire(ref: Ref, check: str, second: int, cause: Ref) -> None:
            self.truth[ref, check] = cause
            found.append((second, alert(ref, check, NOW + timedelta(seconds=second))))

        for pod, workload, node, database in self.pods:
            second = self._random.randrange(STORM_S)
            if node in gone:
                fire(pod, "KG-043", min(second, STORM_S - 5), node)
            elif database == dead:
                fire(pod, "KG-020", second, dead)
            else:
                fire(pod, "KG-021", second, workload)
        for node in gone:
            fire(node, "KG-044", STORM_S - 2, node)
        fire(dead, "KG-001", self._random.randrange(STORM_S), dead)
        return sorted(found, key=lambda each: each[0])

    def wrong(self, incidents: list[Incident]) -> int:
        """Alerts whose incident has another root than their cause."""
        workload_of = {pod: workload for pod, workload, _, _ in self.pods}
        root_of = {
            member: workload_of.get(each.root.ref, each.root.ref) for each in incidents for member in each.members
        }
        return sum(
            root_of.get(known(alert(ref, check), ref.subject("alert", check=check), "").member) != cause
            for (ref, check), cause in self.truth.items()
        )


class Measured:
    """The reducer, and what it takes."""

    def __init__(self, world: World) -> None:
        router = Router([RouteConfig(to=["ops"], wait_s=WAIT_S)], {})
        self._reducer = Incidents("test", GroupingConfig(), router, Silencing([], {}))
        for each in world.entities:
            self._reducer.on_topology(each, each.ref.subject("topology"))
        self._reducer.begin(NOW)
        gc.collect()
        gc.freeze()  # as the service does once it is in sync
        self._now = NOW
        self._rows: dict[str, Incident] = {}
        self.cpu_s = self.longest_s = self.first_s = 0.0
        self.messages = 0

    @property
    def incidents(self) -> list[Incident]:
        return list(self._rows.values())

    def second(self, now: datetime, alerts: list[Alert]) -> None:
        """What fires within one second, and a tick."""
        self._now = now
        messages = [(each, each.ref.subject("alert", check=each.check)) for each in alerts]  # it comes with its subject
        begin = time.process_time()
        for each, subject in messages:
            self._reducer.on_alert(each, subject, "KGENTS_ALERT:1")
        self._reducer.tick(now)
        self.cpu_s += time.process_time() - begin
        while self._reducer.is_dirty:
            self._take()

    def _take(self) -> None:
        """One stretch of work after the other, as they run between two pauses of the service."""
        results = self._reducer.take()
        while True:
            begin = time.process_time()
            found = next(results, None)
            lasted = time.process_time() - begin
            self.cpu_s += lasted
            self.longest_s = max(self.longest_s, lasted)
            if found is None:
                return
            self.first_s = self.first_s or (self._now - NOW).total_seconds()
            self.messages += 1
            self._rows[found.id] = found

    def rest(self) -> int:
        """Messages of five minutes in which nothing happens."""
        self.second(self._now + timedelta(seconds=20), [])
        before = self.messages
        for _ in range(300):
            self.second(self._now + timedelta(seconds=1), [])
        return self.messages - before
