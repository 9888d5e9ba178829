"""The laws of sharing: even, no needless move, the same in every instance; it settles however much their knowledge
differed."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kgents_shared.runtime.sharing import Member, assign

names = st.integers(0, 40).map(lambda count: [f"c{number}" for number in range(count)])
instances = st.sets(st.sampled_from("abcdefgh"), min_size=1, max_size=8)


def members(found: set[str]) -> dict[str, Member]:
    return {each: Member() for each in sorted(found)}


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[str], set[str], dict[str, str]]:
    """Clusters, the instances that are alive, and who holds what: also instances that are gone by now."""
    clusters = draw(names)
    holders = draw(st.lists(st.sampled_from(["", *"abcdefghxyz"]), min_size=len(clusters), max_size=len(clusters)))
    held = {cluster: holder for cluster, holder in zip(clusters, holders, strict=True) if holder}
    return clusters, draw(instances), held


def loads(assigned: dict[str, str], alive: set[str]) -> list[int]:
    counts = Counter(assigned.values())
    return [counts[each] for each in alive]


@given(situations())
def test_every_cluster_has_a_member_and_shares_differ_by_one_at_most(
    situation: tuple[list[str], set[str], dict[str, str]],
) -> None:
    clusters, alive, held = situation
    assigned = assign(clusters, members(alive), held)
    assert assigned.keys() == set(clusters)
    assert set(assigned.values()) <= alive
    found = loads(assigned, alive)
    assert max(found) - min(found) <= 1


@given(situations())
def test_only_what_must_move_does(situation: tuple[list[str], set[str], dict[str, str]]) -> None:
    clusters, alive, held = situation
    assigned = assign(clusters, members(alive), held)
    kept = sum(held.get(cluster) == member for cluster, member in assigned.items())
    floor, extra = divmod(len(clusters), len(alive))
    before = sorted((sum(held.get(each) == member for each in clusters) for member in alive), reverse=True)
    assert kept == sum(min(count, floor + (place < extra)) for place, count in enumerate(before))


@given(situations())
def test_what_is_held_as_assigned_stays(situation: tuple[list[str], set[str], dict[str, str]]) -> None:
    clusters, alive, held = situation
    assigned = assign(clusters, members(alive), held)
    assert assign(clusters, members(alive), assigned) == assigned


@given(situations(), st.data())
def test_it_does_not_matter_who_takes_its_clusters_first(
    situation: tuple[list[str], set[str], dict[str, str]], data: st.DataObject
) -> None:
    """While no member has too many, what some have taken leaves what the others should take."""
    clusters, alive, _ = situation
    assigned = assign(clusters, members(alive), {})
    taken = data.draw(st.sets(st.sampled_from(clusters))) if clusters else set()
    assert assign(clusters, members(alive), {each: assigned[each] for each in taken}) == assigned


@given(situations(), st.randoms())
def test_equal_knowledge_gives_an_equal_result_in_whatever_order_it_came(
    situation: tuple[list[str], set[str], dict[str, str]], random: object
) -> None:
    clusters, alive, held = situation
    shuffled = list(clusters)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    backwards = dict(reversed(members(alive).items()))
    assert assign(clusters, members(alive), held) == assign(shuffled, backwards, dict(reversed(held.items())))


@given(situations(), st.data())
def test_it_settles_however_different_the_knowledge_was(
    situation: tuple[list[str], set[str], dict[str, str]], data: st.DataObject
) -> None:
    """Each instance computes from the members it happens to know and takes what is free; a holder releases only what
    another one wants by its own account. With equal knowledge, it takes two rounds until nothing moves."""
    clusters, alive, held = situation
    held = {cluster: holder for cluster, holder in held.items() if holder in alive}  # what the dead held ran out
    everyone = members(alive)
    known = {each: members({each, *data.draw(st.sets(st.sampled_from(sorted(alive))))}) for each in sorted(alive)}
    moves = []
    for views in (known, *[dict.fromkeys(sorted(alive), everyone)] * 3):
        wanted = {each: {c for c, m in assign(clusters, views[each], held).items() if m == each} for each in views}
        before = dict(held)
        for each, view in views.items():
            target = assign(clusters, view, before)
            for cluster in [c for c, holder in before.items() if holder == each]:
                if target[cluster] != each and cluster in wanted.get(target[cluster], ()):
                    del held[cluster]
        for each, wants in wanted.items():
            held.update(dict.fromkeys((c for c in wants if c not in held), each))
        moves.append(sum(before.get(cluster) != holder for cluster, holder in held.items()))
    assert held.keys() == set(clusters)
    found = loads(held, alive)
    assert max(found) - min(found) <= 1
    assert moves[-1] == 0


@given(names, st.lists(st.sets(st.sampled_from([f"c{number}" for number in range(40)])), min_size=1, max_size=5))
def test_a_member_gets_only_what_it_may_hold_and_nothing_that_one_may_hold_is_left(
    clusters: list[str], scopes: list[set[str]]
) -> None:
    able = {f"m{number}": Member(frozenset(scope)) for number, scope in enumerate(scopes)}
    assigned = assign(clusters, able, {})
    assert assigned.keys() == {each for each in clusters if any(member.may_hold(each) for member in able.values())}
    assert all(able[member].may_hold(cluster) for cluster, member in assigned.items())
    for _ in range(len(able)):  # each round fills members that had room, which their clusters may not allow in one
        assigned = assign(clusters, able, assigned)
    assert assign(clusters, able, assigned) == assigned
