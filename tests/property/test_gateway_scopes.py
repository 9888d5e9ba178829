"""The law of a scope: by key or by name, one by one or all at once, it holds the same entities, and they fit it."""

from fnmatch import fnmatchcase

from hypothesis import given, settings
from hypothesis import strategies as st

from kgents_gateway.access.scrub import HIDDEN, scrubbed
from kgents_gateway.access.seen import Bounds
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.subjects import is_hashed
from kgents_shared.view.entity import EntityView, Rows, key_of_ref
from kgents_shared.view.selection import Selection
from support.state import edge, make_health, make_topology

CLUSTERS = ("east", "west", "namespace", "e.1")
NAMESPACES = ("", "shop", "shop-2", "shop.a", "_", "namespace", "n" * 130)
KINDS = ("pod", "node", "namespace", "cluster", "source")
NAMES = ("shop", "shop-2", "cart.1", "east", "x" * 130, "_")
refs = st.builds(
    Ref, st.sampled_from(CLUSTERS), st.sampled_from(KINDS), st.sampled_from(NAMES), st.sampled_from(NAMESPACES)
)
scopes = st.builds(
    lambda clusters, namespaces: Selection(clusters=tuple(clusters), namespaces=tuple(namespaces)),
    st.lists(st.sampled_from((*CLUSTERS, "e*", "*")), max_size=2),
    st.lists(st.sampled_from((*NAMESPACES, "shop*", "?hop")), max_size=2),
)


def expected(scope: Selection, ref: Ref) -> bool:
    """The law in other words than those of the code."""
    place = ref.name if (ref.kind, ref.namespace) == ("namespace", "") else ref.namespace
    if ref.kind in ("cluster", "source") and scope.namespaces:
        return False
    fits = [
        not words or any(fnmatchcase(value, word) for word in words)
        for words, value in ((scope.clusters, ref.cluster), (scope.namespaces, place))
    ]
    return all(fits)


@settings(max_examples=200)
@given(scopes, st.lists(refs, max_size=20))
def test_a_scope_holds_the_same_by_key_and_by_name(scope: Selection, found: list[Ref]) -> None:
    bounds = Bounds(scope)
    keys = [key_of_ref(each) for each in found]
    assert bounds.among(keys) == [key for key in keys if Bounds(scope).takes_key(key)]
    assert bounds.among(keys) == bounds.among(keys)
    for ref, key in zip(found, keys, strict=True):
        assert bounds.takes(ref) == expected(scope, ref)
        # Of a hashed name is not known what it fits: then it is not shown.
        assert bounds.takes_key(key) == expected(scope, ref) or (is_hashed(key) and not bounds.takes_key(key))
    assert not bounds.takes_key("east.pod.shop")
    assert not bounds.takes_key("east.pod.shop.a.b")


@settings(max_examples=200)
@given(scopes, refs, st.lists(refs, max_size=5))
def test_no_name_of_a_hidden_peer_is_left_in_an_entity(scope: Selection, ref: Ref, peers: list[Ref]) -> None:
    bounds = Bounds(scope)
    names = " ".join(f"{each.namespace}/{each.name}@{each.cluster}" for each in peers)
    connections = [edge("depends_on", each) for each in peers]
    topology = make_topology(ref=ref, text=names, connections=connections, attributes={"a": names, "b": [names]})
    health = make_health(ref=ref, text=names, level="critical")
    view = EntityView(key_of_ref(ref), Rows(encode(topology), encode(health)))
    shown = scrubbed(view, bounds.takes)
    assert shown.topology is not None
    assert [each.peer for each in shown.topology.connections] == [each for each in peers if bounds.takes(each)]
    words = str((shown.topology.text, shown.topology.attributes, shown.text)).replace(HIDDEN, " ")
    visible = [ref, *(each for each in peers if bounds.takes(each))]
    known = {word for each in visible for word in (each.cluster, each.namespace, each.name)} | {*KINDS, ""}
    for peer in peers:
        for name in {peer.cluster, peer.namespace, peer.name} - known:
            assert name not in words.replace("/", " ").replace("@", " ").replace("'", " ").split(), name
