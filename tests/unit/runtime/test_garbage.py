"""The garbage collector never visits everything of a process that holds much, and does of one that holds little."""

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator

import pytest

from kgents_shared.runtime.garbage import ROUNDS, SMALL, YOUNG, calm_collector, free_cycles

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 14), reason="collects in increments by itself")
ALL = (ROUNDS + 1) * YOUNG * 6
"""New objects after which everything has been visited some times, unless it is too much."""


class Node:
    """Refers to itself."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def calm() -> Iterator[None]:
    """The rest of the test process counts as nothing while the test runs."""
    threshold, callbacks = gc.get_threshold(), list(gc.callbacks)
    gc.collect()
    calm_collector()
    yield
    gc.callbacks[:] = callbacks
    gc.set_threshold(*threshold)
    gc.unfreeze()


def full_passes() -> int:
    return int(gc.get_stats()[2]["collections"])


def test_what_is_large_is_never_visited_as_a_whole() -> None:
    held = [[number] for number in range(4 * SMALL)]
    before = full_passes()
    held += [[number] for number in range(ALL)]
    assert full_passes() == before
    assert gc.get_freeze_count() > SMALL


def test_cycles_that_are_new_are_freed_however_much_is_held() -> None:
    held = [[number] for number in range(ALL)]
    lost = weakref.ref(Node())
    held += [[number] for number in range(2 * YOUNG)]
    assert lost() is None


def test_old_cycles_are_freed_however_much_is_held_where_that_is_asked_for() -> None:
    free_cycles()
    old, held = Node(), [[number] for number in range(4 * SMALL)]
    gc.collect(1)
    lost = weakref.ref(old)
    del old
    held += [[number] for number in range(ALL)]
    assert lost() is None


def test_setting_it_twice_is_setting_it_once() -> None:
    before = len(gc.callbacks)
    calm_collector()
    assert len(gc.callbacks) == before


def test_what_is_small_is_visited_as_a_whole_from_time_to_time() -> None:
    """So that a process that leaves cycles behind does not grow, as long as it is cheap."""
    program = f"""
import gc, weakref
from kgents_shared.runtime.garbage import calm_collector
calm_collector()
class Node:
    def __init__(self): self.me = self
old = Node()
gc.collect()
lost = weakref.ref(old)
del old
held = []
for number in range({ALL}):
    lost_at_once = [[]]
    lost_at_once[0].append(lost_at_once)
    if number % {ALL // 20_000} == 0: held.append([])
raise SystemExit(lost() is not None)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
