"""How many objects are left out, and when there is room for them again."""

from kgents_collector_k8s.mapping import CATALOGUE
from kgents_collector_k8s.truncation import Truncation

VOLUMES, CLAIMS = (
    next(kind for kind in CATALOGUE if kind.resource == name)
    for name in ("persistentvolumes", "persistentvolumeclaims")
)


def test_a_list_of_volumes_says_nothing_of_claims_that_are_left_out() -> None:
    overflow = Truncation("test", 1)
    assert not overflow.admits(CLAIMS, "", ("shop", "data"), {("shop", "other")})
    overflow.keep_only(VOLUMES, "", {("", "pv-1")})
    assert overflow.counts() == {"volume": 1}


def test_there_is_room_again_only_for_what_is_left_out() -> None:
    overflow, shown = Truncation("test", 1), {("shop", "other")}
    assert not overflow.has_room_again(CLAIMS, "", set())
    overflow.admits(CLAIMS, "", ("shop", "data"), shown)
    assert not overflow.has_room_again(CLAIMS, "", shown)
    assert overflow.has_room_again(CLAIMS, "", set())
    assert not overflow.has_room_again(VOLUMES, "", set())
