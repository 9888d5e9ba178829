"""How long a sample was on its way over a link, whatever the clocks say."""

from kgents_shared.runtime.crossing import Crossing

S = 1_000_000_000
BEGIN = 1_000_000 * S


def delays(crossing: Crossing, samples: list[tuple[float, float]]) -> list[float]:
    """Of samples by their arrival and their own time, in seconds."""
    return [round(crossing.delay_s(BEGIN + int(at * S), BEGIN + int(of * S)), 1) for at, of in samples]


def test_what_comes_at_once_has_no_delay() -> None:
    assert delays(Crossing(), [(at, at) for at in range(0, 300, 10)]) == [0.0] * 30


def test_a_backlog_is_as_late_as_it_is_and_what_follows_is_not() -> None:
    crossing = Crossing()
    delays(crossing, [(at, at) for at in range(0, 60, 10)])
    backlog = delays(crossing, [(660, of) for of in range(60, 660, 60)])
    assert backlog == [float(660 - of) for of in range(60, 660, 60)]
    assert delays(crossing, [(670, 670)]) == [0.0]


def test_a_backlog_that_comes_first_is_late_too() -> None:
    assert delays(Crossing(), [(600, 0), (600, 300), (601, 601)]) == [600.0, 300.0, 0.0]


def test_a_clock_that_is_late_delays_nothing_once_it_is_known() -> None:
    crossing = Crossing()
    assert delays(crossing, [(0, -300)]) == [300.0], "it may be a backlog"
    delays(crossing, [(at, at - 300) for at in range(0, 200, 10)])
    assert delays(crossing, [(200, -100)]) == [0.0]
    assert delays(crossing, [(800, 0), (800, 400), (800, 500)]) == [500.0, 100.0, 0.0]


def test_a_clock_that_is_put_back_is_known_after_three_minutes() -> None:
    crossing = Crossing()
    delays(crossing, [(at, at) for at in range(0, 120, 10)])
    later = delays(crossing, [(at, at - 60) for at in range(120, 360, 10)])
    assert later[0] == 60.0
    assert later[-1] == 0.0


def test_a_clock_ahead_delays_nothing() -> None:
    assert delays(Crossing(), [(at, at + 120) for at in range(0, 120, 10)]) == [0.0] * 12
