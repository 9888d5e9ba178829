"""Hand-made incidents → at which rank the change that caused each of them is, among what followed and what is noise."""

from collections.abc import Sequence

import pytest

from kgents_cli.availability.spans import US_PER_S
from kgents_cli.reviewing.candidates import Change, candidates
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from kgents_shared.view.entity import EntityView, Rows, key_of_ref
from kgents_shared.view.paths import Graph

NOW = 100_000 * US_PER_S


def ref(kind: str, name: str, namespace: str = "shop") -> Ref:
    """An entity of the shop."""
    return Ref("prod", kind, name, "" if kind == "node" else namespace)


N1, N2 = ref("node", "n1"), ref("node", "n2")
FRONT, CART, PAY = (ref("deployment", each) for each in ("front", "cart", "pay"))
PODS = {each: [ref("pod", f"{each.name}-{n}") for n in (1, 2)] for each in (FRONT, CART, PAY)}
SERVICES = {each: ref("service", each.name) for each in (FRONT, CART, PAY)}
DB, CACHE = ref("database", "orders"), ref("database", "cache")
REPORTS = ref("deployment", "reports", "lab")
REPORTS_POD = ref("pod", "reports-1", "lab")


def shop() -> Graph:
    """front → cart → pay → orders, cart → cache; two pods of each on two nodes; another team's reports use orders."""
    named: dict[Ref, list[ResolvedConnection]] = {
        each: [] for each in (N1, N2, FRONT, CART, PAY, *SERVICES.values(), DB, CACHE, REPORTS)
    }
    uses = {FRONT: [SERVICES[CART]], CART: [SERVICES[PAY], CACHE], PAY: [DB]}
    for owner, pods in PODS.items():
        for pod, node in zip(pods, (N1, N2), strict=True):
            named[pod] = [
                ResolvedConnection("owns", owner, "in"),
                ResolvedConnection("runs_on", node),
                ResolvedConnection("routes", SERVICES[owner], "in"),
                *(ResolvedConnection("http", each) for each in uses[owner]),
            ]
    named[REPORTS_POD] = [
        ResolvedConnection("owns", REPORTS, "in"), ResolvedConnection("runs_on", N2), ResolvedConnection("http", DB),
    ]  # fmt: skip
    entities = (TopologyEntity("t", each, connections=found) for each, found in named.items())
    return Graph(EntityView(key_of_ref(each.ref), Rows(encode(each))) for each in entities)


def change(of: Ref, sort: str, minutes_before: float) -> Change:
    """One change."""
    return Change(of, NOW - round(minutes_before * 60 * US_PER_S), sort)


def each(of: Sequence[Ref], sort: str, minutes_before: float) -> list[Change]:
    """The same of several."""
    return [change(one, sort, minutes_before) for one in of]


NOISE = [
    change(REPORTS, "image", 2), *each([REPORTS_POD], "appeared", 1.5), change(CACHE, "status", 30),
    change(FRONT, "configuration", 55), *each(PODS[FRONT], "restart", 50),
]  # fmt: skip
"""What is always going on: a release of another team that shares the database, and what was an hour ago."""

INCIDENTS = {
    "a release whose pods crash": (
        [change(CART, "image", 6), *each(PODS[CART], "appeared", 5), *each(PODS[CART], "restart", 1),
         change(SERVICES[CART], "status", 0.5)],
        [*PODS[CART], SERVICES[CART], FRONT],
        (CART, "image"), 1,
    ),
    "a wrong setting of the database that many depend on": (
        [change(DB, "configuration", 8), change(PAY, "status", 2), *each(PODS[PAY], "restart", 2),
         *each(PODS[CART], "restart", 1)],
        [DB, PAY, CART],
        (DB, "configuration"), 1,
    ),
    "a node that is drained": (
        [change(N1, "node", 4), *each([PODS[CART][0], PODS[PAY][0]], "node", 3), change(SERVICES[PAY], "status", 1)],
        [N1, PODS[CART][0], PODS[PAY][0]],
        (N1, "node"), 3,  # behind its own effect: the pods that it moved, of two workloads
    ),
    "a Service that was removed": (
        [change(SERVICES[PAY], "removed", 2), change(CART, "status", 1), *each(PODS[CART], "restart", 0.5)],
        [*PODS[CART], CART, SERVICES[PAY]],
        (SERVICES[PAY], "removed"), 1,
    ),
    "fewer replicas than the load needs, half an hour later": (
        [change(PAY, "scaling", 30), *each(PODS[PAY], "restart", 2), change(SERVICES[PAY], "status", 1)],
        [*PODS[PAY], PAY],
        (PAY, "scaling"), 3,  # half an hour is long: restarts, which followed, and a release elsewhere come first
    ),
    "a release far down, found by those who use it": (
        [change(PAY, "image", 15), *each(PODS[PAY], "appeared", 14), *each(PODS[FRONT], "restart", 1),
         change(SERVICES[FRONT], "status", 1)],
        [*PODS[FRONT], FRONT],
        (PAY, "image"), 4,  # three connections away, by a node that they share
    ),
}  # fmt: skip
"""Name → what changed, what became unwell, the cause, and its rank."""


@pytest.mark.parametrize("name", INCIDENTS)
def test_the_cause_is_found_at_this_rank(name: str) -> None:
    changes, unwell, cause, rank = INCIDENTS[name]
    found = candidates([*NOISE, *changes], shop(), unwell, NOW)
    ranks = [(one.ref, one.sort) for one in found]
    assert ranks.index(cause) + 1 == rank, [(str(one.ref), one.sort, one.score) for one in found]
