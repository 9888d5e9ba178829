"""The laws of what is not attested: few scopes, and none that covers less."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.unread import Unread, bounded, of_subjects

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = st.sampled_from(["", "a", "b", "c"])
SCOPES = st.builds(
    Unread, WORDS, WORDS, WORDS, WORDS, st.none() | st.integers(0, 9).map(lambda s: NOW + timedelta(seconds=s)), WORDS
)
REFS = st.builds(Ref, cluster=st.just("test"), kind=WORDS, namespace=WORDS, name=WORDS)


@given(scopes=st.lists(SCOPES, max_size=40), most=st.integers(1, 40), ref=REFS, part=WORDS)
def test_fewer_scopes_cover_all_that_many_did(scopes: list[Unread], most: int, ref: Ref, part: str) -> None:
    few = bounded(scopes, most)
    assert len(few) <= most
    if any(each.covers(ref, part) for each in scopes):
        assert any(each.covers(ref, part) for each in few)
    since = [each.since for each in scopes if each.since is not None]
    assert min(since, default=None) == min((each.since for each in few if each.since is not None), default=None)


def test_scopes_that_fit_are_left_as_they_are() -> None:
    scopes = [Unread("pod", "shop", name) for name in "abc"]
    assert bounded(scopes, 3) == scopes


def test_what_does_not_fit_becomes_the_smallest_that_is_common() -> None:
    scopes = [Unread("pod", "shop", name, reason=f"{name} hangs") for name in "abc"]
    assert bounded([*scopes, Unread("node")], 2) == [
        Unread("pod", "shop", reason="a hangs (and 2 more)"),
        Unread("node"),
    ]
    assert bounded([Unread("pod", each, "x") for each in "abc"], 2) == [Unread("pod")]
    assert bounded([Unread(each, part="engine") for each in "abc"], 2) == [Unread(part="engine")]


def test_a_scope_reads_as_a_name() -> None:
    scopes = [Unread("container", "shop", "cart-1"), Unread("pod", "shop"), Unread("pod"), Unread(part="b"), Unread()]
    assert [str(each) for each in scopes] == ["container shop/cart-1", "pod in shop", "pod", "part b", "everything"]


@given(refs=st.lists(REFS.map(lambda ref: structs.replace(ref, kind=ref.kind or "pod")), unique=True, max_size=60))
def test_subjects_that_could_not_be_published_are_covered(refs: list[Ref]) -> None:
    found = of_subjects({ref.subject("entity", source="k8s"): "no permission" for ref in refs})
    assert all(any(scope.covers(ref) for scope in found) for ref in refs)
    assert {scope.reason for scope in found} == ({"no permission"} if refs else set())
    assert not any(scope.is_everything for scope in found)


def test_a_subject_of_a_long_name_stands_for_its_kind_and_one_of_another_signal_for_nothing() -> None:
    long = Ref("test", "pod", "x" * 200, "shop")
    assert of_subjects({long.subject("entity", source="k8s"): "no"}) == [Unread(kind="pod", reason="no")]
    assert of_subjects({long.subject("topology"): "no"}) == [Unread(kind="pod", reason="no")]
    assert of_subjects({long.subject("pulse", source="k8s"): "no"}) == []
