"""How long a loss stays unknown follows from the number of subjects alone, whatever hung, failed or stood still."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from kgents_shared.bus.jetstream import StreamState
from kgents_shared.bus.losses import COMPARED_EVERY, COMPARED_SOONER, INTERVAL_S, Schedule

COST_S: Final = 1e-5
FIRST_S: Final = INTERVAL_S
FIRST: Final = StreamState(
    messages=1_000, bytes=1, first_seq=1, first_ts=datetime(2026, 1, 1, tzinfo=UTC), last_seq=1_000, num_subjects=500
)
PURGED: Final = msgspec.structs.replace(FIRST, messages=999)
GROWN: Final = msgspec.structs.replace(FIRST, messages=1_001, last_seq=1_001)
SUBJECTS: Final = st.integers(0, 10_000_000)
PARTS: Final = st.floats(0, 0.99)


def compared(subjects: int) -> Schedule:
    """A schedule whose first comparison began at FIRST_S and has read so many subjects."""
    schedule = Schedule(COST_S, 0.0)
    assert schedule.begin(FIRST, FIRST_S)
    schedule.end(FIRST, subjects)
    return schedule


@given(SUBJECTS, PARTS)
def test_what_has_changed_is_compared_at_a_hundredth_of_the_time(subjects: int, part: float) -> None:
    wait_s = COMPARED_EVERY * COST_S * subjects
    schedule = compared(subjects)
    assert not schedule.begin(FIRST, FIRST_S + wait_s), "nothing was stored or dropped"
    assert not wait_s or not schedule.begin(GROWN, FIRST_S + wait_s * part)
    assert schedule.begin(GROWN, FIRST_S + wait_s + 1e-3)


@given(SUBJECTS, PARTS, st.booleans())
def test_what_may_be_lost_is_compared_sooner(subjects: int, part: float, is_smaller: bool) -> None:
    wait_s = COMPARED_SOONER * COST_S * subjects
    schedule = compared(subjects)
    if not is_smaller:
        schedule.suspect()  # it may have been restored, and hold as much as before
    state = PURGED if is_smaller else FIRST
    assert not wait_s or not schedule.begin(state, FIRST_S + wait_s * part)
    assert schedule.begin(state, FIRST_S + wait_s + 1e-3)


@dataclass(frozen=True)
class Check:
    """The stream is asked for its extent, and compared if that is due."""

    after_s: float
    """Since the last check, or the end of its comparison."""
    stored: int
    is_purged: bool
    is_reconnected: bool
    hangs_s: float
    """How long the comparison takes, of which nothing is cost."""
    subjects: int | None
    """How many it reads; None: it fails."""


CHECKS: Final = st.builds(
    Check,
    after_s=st.floats(0, 2 * INTERVAL_S),
    stored=st.integers(0, 2),
    is_purged=st.booleans(),
    is_reconnected=st.booleans(),
    hangs_s=st.floats(0, 1e6),
    subjects=st.none() | SUBJECTS,
)


@given(st.lists(CHECKS, min_size=1, max_size=30))
def test_a_loss_is_found_in_time_whatever_hung_or_failed_before(checks: list[Check]) -> None:
    """At the first check that comes twenty times the last comparison's cost after its beginning, and not before."""
    schedule, state = Schedule(COST_S, 0.0), FIRST
    now_s = began_s = 0.0
    cost_s = INTERVAL_S / COMPARED_EVERY
    is_unknown = False
    for each in checks:
        now_s += each.after_s
        state = msgspec.structs.replace(
            state, messages=state.messages + each.stored - 3 * each.is_purged, last_seq=state.last_seq + each.stored
        )
        if each.is_reconnected:
            schedule.suspect()
        is_unknown |= (each.is_purged and each is not checks[0]) or each.is_reconnected
        is_begun = schedule.begin(state, now_s)
        assert not is_begun or now_s - began_s >= COMPARED_SOONER * cost_s
        assert is_begun or not is_unknown or now_s - began_s < COMPARED_SOONER * cost_s
        if is_begun:
            began_s, is_unknown = now_s, True
            now_s += each.hangs_s
            if each.subjects is not None:
                schedule.end(state, each.subjects)
                is_unknown, cost_s = False, each.subjects * COST_S
