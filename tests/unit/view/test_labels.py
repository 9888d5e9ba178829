"""Label selectors mean what they mean to kubectl."""

import pytest

from kgents_shared.view.labels import parse, render

LABELS = {"app": "cart", "tier": "web", "app.kubernetes.io/name": "cart", "empty": ""}


def holds(selector: str) -> bool:
    return all(each.holds(LABELS) for each in parse(selector))


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("app=cart", True),
        ("app==cart", True),
        ("app = cart", True),
        ("app=pay", False),
        ("app!=pay", True),
        ("app!=cart", False),
        ("missing!=x", True),
        ("missing=x", False),
        ("tier in (web, api)", True),
        ("tier in (db)", False),
        ("tier notin (db,api)", True),
        ("tier notin (web)", False),
        ("missing notin (web)", True),
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("!app", False),
        ("empty=", True),
        ("app=", False),
        ("app.kubernetes.io/name=cart,tier in (web,api),!missing", True),
        ("app=cart,tier=db", False),
    ],
)
def test_a_selector_holds_or_not(selector: str, expected: bool) -> None:
    assert holds(selector) is expected


@pytest.mark.parametrize(
    "selector", ["app=cart", "a!=b", "e in (x,y)", "e notin (x,y)", "f", "!f", "a=b,c in (d,e),!g"]
)
def test_what_is_rendered_reads_back(selector: str) -> None:
    assert render(parse(selector)) == selector


@pytest.mark.parametrize(
    "selector", ["", "=x", "a=b=c", "a in ()", "a in x", "a in (x", "a>b", "a b", "-a", "a=b,", "in (x)", "a!", "!a=b"]
)
def test_what_is_no_selector_is_refused_with_an_example(selector: str) -> None:
    with pytest.raises(ValueError, match=r"expected a label selector such as app=cart,env!=dev"):
        parse(selector)
