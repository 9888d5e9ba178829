"""The server's time by a clock of a machine that is wrong."""

from datetime import timedelta

from kgents_shared.runtime.clock import ServerClock
from support.clock import FakeClock


def test_what_was_learned_last_counts_while_it_is_not_known() -> None:
    machine = FakeClock()
    clock = ServerClock(machine)
    assert (clock.now(), clock.ahead_s) == (machine.now(), None)
    clock.learn(-3600.0)
    assert (clock.now(), clock.ahead_s) == (machine.now() + timedelta(hours=1), -3600.0)
    clock.learn(None)
    assert (clock.now(), clock.ahead_s) == (machine.now() + timedelta(hours=1), None)
    clock.learn(0.0)
    assert clock.now() == machine.now()
    assert clock.monotonic_s() == machine.monotonic_s()
