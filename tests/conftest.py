"""The folder of a test is its marker, no test sees the developer's own settings, and none leaves a process behind."""

import gc
import logging
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler.loadfile import LoadFileScheduling  # type: ignore[import-untyped]

from kgents_shared.contract.codec import Codec
from support.process import STARTED
from support.vocabulary import undeclared
from support.waiting import MACHINE

MARKERS = ("unit", "property", "contract", "scenarios", "integration", "faults", "web", "e2e")
ROOT = Path(__file__).parent

# Started in the background by a shell without job control, we and the commands that tests start would ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How fast the machine is decides nothing: no deadline for an example, and no complaint that it took long to make one.
# The examples are the same each time, so that a failure comes from the change. `--hypothesis-profile=new` tries others,
# and a failure prints the line that repeats it.
settings.register_profile(
    "kgents", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True, print_blob=True
)
settings.register_profile("new", settings.get_profile("kgents"), derandomize=False)
settings.load_profile("kgents")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(ROOT).parts[0]
        if folder in MARKERS:
            item.add_marker(folder)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """The time that a test may take grows with the slowness of the machine, as every wait in it."""
    marker = item.get_closest_marker("timeout")
    limit_s = float(marker.args[0] if marker else item.config.getini("timeout"))
    MACHINE.measure_again()
    item.add_marker(pytest.mark.timeout(MACHINE.limit_s(limit_s)), append=False)
    return (yield)


@pytest.fixture(autouse=True)
def own_garbage() -> Iterator[None]:
    """A command that runs in the process of a test sets up its garbage collector; what it froze Hypothesis misses."""
    threshold, callbacks = gc.get_threshold(), list(gc.callbacks)
    yield
    if gc.callbacks != callbacks:
        gc.callbacks[:] = callbacks
        gc.set_threshold(*threshold)
        gc.unfreeze()


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """A command that runs in the process of a test sets up logging; later tests would not see what is logged."""
    root = logging.getLogger()
    level, disabled = root.level, root.manager.disable
    yield
    root.setLevel(level)
    logging.disable(disabled)
    for handler in [each for each in root.handlers if type(each).__module__.startswith("kgents")]:
        root.removeHandler(handler)


class Schedule(LoadFileScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Which tests of several processes stay together: a file's, for the sake of its fixtures, and all of e2e.

    These run commands as a user does, without a port of their own: they would take NATS's well-known one from each
    other, or find each other's server there.
    """

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "e2e" if "e2e" in Path(file).parts else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Schedule:
    return Schedule(config, log)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("KGENTS", "OTEL_")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def only_declared_words(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test of a collector reads back from the streams is in words that the vocabulary declares."""
    if "collector" not in str(request.path.relative_to(ROOT)):
        yield
        return
    found: set[str] = set()
    decode = Codec.decode

    def noting(codec: Codec[Any], payload: bytes, **more: Any) -> Any:
        message = decode(codec, payload, **more)
        found.update(undeclared(message))
        return message

    monkeypatch.setattr(Codec, "decode", noting)
    yield
    assert sorted(found) == []


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> Iterator[None]:
    """Kill what a test has started and left running; what fixtures of more than one test have started stays."""
    before = STARTED.running()
    yield
    STARTED.kill_all_but(before)
