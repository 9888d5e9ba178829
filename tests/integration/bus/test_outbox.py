import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections import deque
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kgents_shared.bus.outbox import READ_BYTES, Message, Outbox
from kgents_shared.contract.errors import ConfigError
from support.process import spawn


def make_message(id_: int, size: int = 1) -> Message:
    return Message(id_, f"kgents.pulse.{id_}", {"Nats-Msg-Id": f"test:0:{id_}"}, b"x" * size)


def make_messages(first: int, last: int, size: int = 1) -> list[Message]:
    return [make_message(id_, size) for id_ in range(first, last + 1)]


def ids(outbox: Outbox) -> list[int]:
    return [message.id for message in outbox.first(1_000)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "outbox.db"


def test_messages_come_back_whole_in_order_after_a_restart(path: Path) -> None:
    kept = make_messages(1, 3)
    with Outbox(path) as outbox:
        outbox.append(kept[:2])
        outbox.append(kept[2:])
    with Outbox(path) as outbox:
        assert outbox.first(10) == kept
        assert (len(outbox), outbox.bytes, outbox.last_id) == (3, sum(each.bytes for each in kept), 3)


def test_first_gives_no_more_than_asked_and_no_more_than_memory_allows(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.append(make_messages(1, 5))
        assert [each.id for each in outbox.first(2)] == [1, 2]
        outbox.delete(range(1, 6))
        outbox.append(make_messages(6, 9, size=READ_BYTES // 2))
        assert [each.id for each in outbox.first(4)] == [6, 7]


def test_the_oldest_are_evicted_and_counted(path: Path) -> None:
    size = make_message(1, 100).bytes
    with Outbox(path, max_bytes=3 * size) as outbox:
        outbox.append(make_messages(1, 2, size=100))
        outbox.append(make_messages(3, 5, size=100))
        assert (ids(outbox), outbox.evicted, outbox.bytes) == ([3, 4, 5], 2, 3 * size)


def test_a_message_larger_than_the_bound_evicts_everything_even_itself(path: Path) -> None:
    with Outbox(path, max_bytes=500) as outbox:
        outbox.append([make_message(1), make_message(2, 1_000)])
        assert (ids(outbox), len(outbox), outbox.bytes, outbox.evicted, outbox.last_id) == ([], 0, 0, 2, 2)


def test_only_the_owner_may_read_the_file(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.append(make_messages(1, 1))
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


OPENER = """
import sys
from pathlib import Path
from kgents_shared.bus.outbox import Outbox
Outbox(Path(sys.argv[1]))
"""


def test_a_second_process_is_refused_with_the_reason(path: Path) -> None:
    with Outbox(path):
        other = subprocess.run([sys.executable, "-c", OPENER, str(path)], capture_output=True, check=False)
    expected = f"outbox {path}: another process has it open; give each process its own data directory"
    assert expected in other.stderr.decode()


def test_a_place_that_cannot_be_written_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="expected a file that can be written"):
        Outbox(tmp_path / "file" / "outbox.db")


WRITER = """
import sys
from pathlib import Path
from kgents_shared.bus.outbox import Message, Outbox
outbox = Outbox(Path(sys.argv[1]))
for n in range(1, 1_000_000):
    outbox.append([Message(n, "s", {}, b"x" * 500)])
    print(n, flush=True)
"""


def test_what_was_appended_survives_kill_9(path: Path) -> None:
    with spawn([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        for _ in range(3_000):
            last = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        last = max([last, *map(int, writer.stdout.read().split(b"\n")[:-1])])
    with Outbox(path) as outbox:
        assert len(outbox) in (last, last + 1)  # killed between the commit and its report
        assert outbox.evicted == outbox.corrupted == 0


def test_a_file_that_is_no_database_is_moved_aside(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database at all, " * 500)
    with Outbox(path) as outbox:
        outbox.append(make_messages(1, 1))
        assert (outbox.corrupted, ids(outbox)) == (1, [1])
    assert path.with_name("outbox.db.corrupt").read_bytes().startswith(b"not a database")


def test_a_file_of_another_layout_is_moved_aside(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE message (id INTEGER PRIMARY KEY)")
    db.close()
    with Outbox(path) as outbox:
        assert outbox.corrupted == 1


def test_a_file_that_goes_bad_while_in_use_costs_its_messages_and_no_more(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.append(make_messages(1, 2_000, size=1_000))
    with path.open("r+b") as file:
        file.seek(4_096 * 2)
        file.write(b"\xff" * (path.stat().st_size - 4_096 * 3))
    with Outbox(path) as outbox:
        assert outbox.first(2_000) == []
        assert outbox.corrupted == 1
        outbox.append(make_messages(2_001, 2_002))
        assert ids(outbox) == [2_001, 2_002]


def test_a_full_disk_costs_what_did_not_fit_and_no_more(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.append(make_messages(1, 2))
        outbox._db.execute("PRAGMA max_page_count = 8")
        outbox.append(make_messages(3, 5, size=20_000))
        assert (ids(outbox), len(outbox), outbox.evicted) == ([1, 2], 2, 0)
        assert "full" in outbox.fault
        outbox.append(make_messages(6, 6))
        assert ids(outbox) == [1, 2, 6]


class BoundedDeque(RuleBasedStateMachine):
    """Whatever happens to it, the outbox is a deque that drops its oldest beyond a number of bytes."""

    @initialize(max_bytes=st.integers(0, 2_000))
    def begin(self, max_bytes: int) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.max_bytes = max_bytes
        self.outbox = Outbox(self.directory / "outbox.db", max_bytes=max_bytes)
        self.model: deque[Message] = deque()
        self.evicted = 0
        self.next = 1

    @rule(sizes=st.lists(st.integers(0, 600), max_size=5))
    def append(self, sizes: list[int]) -> None:
        messages = [make_message(self.next + n, size) for n, size in enumerate(sizes)]
        self.next += len(sizes)
        self.outbox.append(messages)
        self.model.extend(messages)
        while sum(each.bytes for each in self.model) > self.max_bytes:
            self.model.popleft()
            self.evicted += 1

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        some = data.draw(st.sets(st.integers(1, self.next)))
        assert self.outbox.delete(some)
        self.model = deque(each for each in self.model if each.id not in some)

    @rule()
    def reopen(self) -> None:
        self.outbox.close()
        self.outbox = Outbox(self.directory / "outbox.db", max_bytes=self.max_bytes)
        self.evicted = 0

    @invariant()
    def holds_what_the_deque_holds(self) -> None:
        if hasattr(self, "outbox"):
            assert self.outbox.first(1_000) == list(self.model)
            assert len(self.outbox) == len(self.model)
            assert self.outbox.bytes == sum(each.bytes for each in self.model)
            assert self.outbox.evicted == self.evicted

    def teardown(self) -> None:
        if hasattr(self, "outbox"):
            self.outbox.close()
            shutil.rmtree(self.directory)


TestBoundedDeque = pytest.mark.timeout(120)(BoundedDeque.TestCase)
TestBoundedDeque.settings = settings(max_examples=60, stateful_step_count=25)
