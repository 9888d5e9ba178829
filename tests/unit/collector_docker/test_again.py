"""When an object that could not be read is asked for again."""

from itertools import pairwise

from kgents_collector_docker.source.again import FIRST_S, MAX_S, Again
from kgents_collector_docker.source.reads import Key

HUNG, LATE = Key("container", "hung"), Key("container", "late")


def test_the_pause_doubles_up_to_its_limit() -> None:
    again = Again[Key]()
    asked = [now_s for now_s in range(200) if again.due([HUNG], now_s)]
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert pauses[:4] == [1, 2, 4, 8]
    assert set(pauses[5:]) == {MAX_S}


def test_what_is_late_once_does_not_wait_for_what_hangs() -> None:
    again = Again[Key]()
    for now_s in range(100):
        again.due([HUNG], now_s)

    assert again.due([HUNG, LATE], 100) == []
    assert again.due([HUNG, LATE], 100 + FIRST_S) == [LATE]


def test_what_has_answered_begins_with_the_first_pause() -> None:
    again = Again[Key]()
    for now_s in range(100):
        again.due([HUNG], now_s)
    assert again.due([], 100) == []
    assert again.due([HUNG], 101) == []
    assert again.due([HUNG], 101 + FIRST_S) == [HUNG]
