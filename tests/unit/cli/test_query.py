import pytest

from kgents_cli.kinds import kinds_of
from kgents_cli.query import explained
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.view.entity import EntityView, Rows, key_of_ref
from kgents_shared.view.selection import select


def view(kind: str, name: str, namespace: str = "", source: str = "k8s") -> EntityView:
    ref = Ref("prod", kind, name, namespace)
    return EntityView(key_of_ref(ref), Rows(encode(TopologyEntity(text="", ref=ref, sources=[source]))))


THERE = [view("pod", "cart-7f", "shop"), view("node", "n3"), view("database", "orders", "shop", "db")]


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("po", ("pod",)),
        ("pods,deploy", ("pod", "deployment")),
        ("pod, pods", ("pod",)),
        ("all", ()),
        ("pod,all", ()),
        ("", ()),
        ("kind-of-ours", ("kind-of-ours",)),
    ],
)
def test_kinds_go_by_any_of_their_names(words: str, kinds: tuple[str, ...]) -> None:
    assert kinds_of(words) == kinds


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"kind": "podz"}, "no entity matches --kind podz; kinds here: database, node, pod; did you mean pod?"),
        ({"namespace": "shp"}, "no entity matches --namespace shp; namespaces here: shop; did you mean shop?"),
        ({"source": "docker"}, "no entity matches --source docker; sources here: db, k8s."),
        ({"kind": "pod", "name": "orders"}, "no entity matches --kind pod --name orders; names here: cart-7f."),
        ({"kind": "pod", "name": "web-*"}, "no entity matches --kind pod --name web-*; see all with `kgents get all`"),
        ({"level": "critical"}, "no entity matches --level critical; see all with `kgents get all`"),
    ],
)
def test_a_selection_that_takes_nothing_names_the_word_that_does_not_fit(given: dict[str, str], why: str) -> None:
    assert explained(select(**given), THERE) == why
