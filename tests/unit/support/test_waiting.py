"""The one way in which tests wait, and that there is no other."""

import ast
import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.waiting import Machine, eventually, lasting_at_most, settled, stays, stays_silent, within

TESTS = Path(__file__).parents[2]
# The waits and the starts themselves, servers and what ends them by itself, measurements.
EXEMPT = ("support/waiting.py", "support/process.py", "support/kube_api/", "support/docker_", "bench/")
CLOCKS = {"monotonic", "perf_counter", "time"}


async def test_a_value_that_comes_in_time_is_returned() -> None:
    tries = iter([None, None, "there"])
    assert await eventually(lambda: next(tries), within_s=1) == "there"


async def test_an_asynchronous_claim_is_awaited() -> None:
    tries = iter([0, 7])

    async def claim() -> int:
        return next(tries)

    assert await eventually(claim, within_s=1) == 7


async def test_what_never_comes_true_fails_with_the_claim_and_what_was_last_seen() -> None:
    found = ["a", "b"]
    with pytest.raises(AssertionError) as caught:
        await eventually(lambda: len(found) == 3, within_s=0.01)
    text = str(caught.value)
    assert "len(found) == 3" in text
    assert "last value = False" in text
    assert "found = ['a', 'b']" in text


async def test_what_stays_true_passes_and_what_does_not_fails_at_once() -> None:
    await stays(lambda: True, for_s=0.02)
    tries = iter([True, True, False])
    with pytest.raises(AssertionError, match="did not stay true"):
        await stays(lambda: next(tries), for_s=30)


async def test_silence_is_claimed_for_a_time() -> None:
    await stays_silent(asyncio.Event().wait(), for_s=0.02)
    with pytest.raises(AssertionError, match="expected silence"):
        await stays_silent(asyncio.sleep(0), for_s=5)


async def test_a_value_is_settled_when_it_has_not_changed_for_the_time() -> None:
    values = iter([1, 2, 3])

    async def read() -> int:
        return next(values, 3)

    assert await settled(read, for_s=0.15) == 3


async def test_a_block_that_does_not_end_is_cancelled() -> None:
    async with within(5):
        pass
    with pytest.raises(TimeoutError):
        async with within(0.01):
            await asyncio.Event().wait()


def test_a_block_that_takes_too_long_fails() -> None:
    with lasting_at_most(5):
        pass
    with pytest.raises(AssertionError, match="expected 0"), lasting_at_most(0):
        time.sleep(0.001)


def test_a_limit_grows_with_the_machine_only_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    measured: list[float] = []

    def measure() -> float:
        machine.slowness = 2.0 + len(measured)
        measured.append(machine.slowness)
        return machine.slowness

    monkeypatch.setattr(machine, "measure", measure)
    assert machine.limit_s(10) == 20  # the first time
    assert machine.limit_s(10, waited_s=19) == 20
    assert machine.limit_s(10, waited_s=21) == 30  # it would fail now: measured again
    assert measured == [2, 3]


def test_a_machine_is_never_faster_than_the_idle_one_and_remembers_its_worst() -> None:
    machine = Machine()
    machine.measure()
    assert machine.slowness >= 1
    machine.slowness = 7.5
    machine.measure()
    assert machine.slowness >= 7.5


# Every test waits with these


def ways_of_its_own(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name("asyncio"), attr="timeout" | "timeout_at" | "wait_for")):
                yield node.lineno, "a limit that does not grow: support.waiting.within"
            case ast.Call(func=ast.Attribute(attr="Popen" | "create_subprocess_exec" | "create_subprocess_shell")):
                yield node.lineno, "a process that outlives us: support.process.spawn or spawn_async"
            case ast.While():
                inside = [each for statement in node.body for each in ast.walk(statement)]
                if any(_is_pause(each) for each in inside) and not _runs_on(node):
                    yield node.lineno, "a loop that waits: support.waiting.eventually or stays"
            case ast.Compare(ops=[*_, ast.Lt() | ast.LtE()]):
                if any(_reads_clock(each) for each in ast.walk(node.left)):
                    yield node.lineno, "a fixed limit: support.waiting.within or lasting_at_most"
                if any(_is_limit(each) for each in node.comparators):
                    yield node.lineno, "a limit of how slow the machine was before: support.waiting.is_in_time"
            case _:
                pass


def _is_pause(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name("asyncio" | "time"), attr="sleep"), args=[pause]):
            return not (isinstance(pause, ast.Constant) and pause.value == 0)
        case _:
            return False


def _runs_on(node: ast.While) -> bool:
    """`while True` without an end: a background task that paces itself and is cancelled."""
    is_endless = isinstance(node.test, ast.Constant)
    return is_endless and not any(isinstance(each, ast.Return | ast.Break) for each in ast.walk(node))


def _is_limit(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "limit_s"


def _reads_clock(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS


def test_no_test_waits_or_starts_a_process_in_a_way_of_its_own() -> None:
    found = [
        f"{name}:{line}: {why}"
        for path in sorted(TESTS.rglob("*.py"))
        if not (name := path.relative_to(TESTS).as_posix()).startswith(EXEMPT)
        for line, why in ways_of_its_own(ast.parse(path.read_text()))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "async def f():\n    async with asyncio.timeout(3):\n        pass",
        "async def f():\n    while not done():\n        await asyncio.sleep(0.1)",
        "async def f():\n    while True:\n        if done():\n            return\n        await asyncio.sleep(0.1)",
        "assert time.monotonic() - started < 3",
        "assert 1 <= took_s < MACHINE.limit_s(3)",
        "process = subprocess.Popen(['cat'])",
    ],
)
def test_each_of_these_is_a_way_of_its_own(source: str) -> None:
    assert list(ways_of_its_own(ast.parse(source)))
