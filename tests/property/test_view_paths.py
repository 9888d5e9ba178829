"""Paths and impact against a naive reading of the same connections, on graphs of any shape."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.vocabulary.edges import CONNECTION_KINDS
from kgents_shared.view.entity import EntityView, Rows, key_of_ref
from kgents_shared.view.paths import Graph, needs
from support.build import make_ref
from support.state import edge, encoded, make_topology

REFS = [make_ref(f"e{number}", kind=kind) for number, kind in enumerate(["pod", "node", "service", "nats_subject"] * 2)]
connections = st.lists(
    st.tuples(
        st.sampled_from(REFS),
        st.sampled_from(sorted(CONNECTION_KINDS)),
        st.sampled_from(REFS),
        st.sampled_from(("in", "out")),
    ),
    max_size=16,
)
Triple = tuple[Ref, str, Ref, str]


def graph_of(triples: list[Triple]) -> Graph:
    return Graph(
        EntityView(
            key_of_ref(ref),
            Rows(
                encoded(
                    make_topology(
                        ref=ref,
                        connections=[edge(kind, peer, way) for own, kind, peer, way in triples if own == ref],
                    )
                )
            ),
        )
        for ref in REFS
    )


def arrows(triples: list[Triple]) -> set[tuple[Ref, str, Ref]]:
    return {(own, kind, peer) if way == "out" else (peer, kind, own) for own, kind, peer, way in triples}


@given(connections)
def test_a_graph_holds_the_connections_and_nothing_else(triples: list[Triple]) -> None:
    graph = graph_of(triples)

    found = {each.key for ref in REFS for each in graph.edges(ref)}
    assert found == arrows(triples)
    for ref in REFS:
        keys = [each.key for each in graph.edges(ref)]
        assert len(keys) == len(set(keys))
        assert all(ref in (source, target) for source, _, target in keys)


@given(connections, st.sampled_from(REFS), st.sampled_from(REFS))
def test_paths_are_shortest_connected_and_as_many_as_there_are(triples: list[Triple], start: Ref, end: Ref) -> None:
    graph = graph_of(triples)
    links = arrows(triples)

    expected: list[list[tuple[Ref, str, Ref]]] = []
    for length in range(len(REFS)):
        expected = list(_walks(links, start, end, length))
        if expected:
            break

    found = graph.paths(start, end, count=10_000)
    assert sorted([each.key for each in path] for path in found) == sorted(expected)


def _walks(links: set[tuple[Ref, str, Ref]], start: Ref, end: Ref, length: int) -> list[list[tuple[Ref, str, Ref]]]:
    """Every walk of exactly this length."""
    if length == 0:
        return [[]] if start == end else []
    steps = [(link, link[2] if link[0] == start else link[0]) for link in links if start in (link[0], link[2])]
    return [[link, *rest] for link, peer in steps for rest in _walks(links, peer, end, length - 1)]


@given(connections, st.sampled_from(REFS))
def test_impact_is_the_closure_of_two_rules(triples: list[Triple], failed: Ref) -> None:
    """Lost: on it, of it, or it under another name. Impaired: all that need what is lost or impaired."""
    graph = graph_of(triples)
    links = {each.key: each for ref in REFS for each in graph.edges(ref)}.values()

    lost = {failed}
    for _, each in itertools.product(REFS, links):
        if each.kind == "owns" and each.source in lost:
            lost.add(each.target)
        if each.kind == "runs_on" and each.target in lost:
            lost.add(each.source)
        if each.kind == "same_as" and {each.source, each.target} & lost:
            lost |= {each.source, each.target}
    reached = set(lost)
    for _, each in itertools.product(REFS, links):
        for one, other in ((each.source, each.target), (each.target, each.source)):
            if needs(each, one) and other in reached:
                reached.add(one)

    found = graph.impact(failed)
    assert {each.ref for each in found if each.is_lost} == lost - {failed}
    assert {each.ref for each in found if not each.is_lost} == reached - lost
    assert len(found) == len({each.ref for each in found})
    assert all(each.distance >= 1 and each.ref in (each.through.source, each.through.target) for each in found)


@given(connections, st.sampled_from(REFS))
def test_owners_are_everything_above(triples: list[Triple], ref: Ref) -> None:
    owns = {(source, target) for source, kind, target in arrows(triples) if kind == "owns"}
    above = {ref}
    for _, (source, target) in itertools.product(REFS, owns):
        if target in above:
            above.add(source)

    assert set(graph_of(triples).owners(ref)) == above - {ref}
