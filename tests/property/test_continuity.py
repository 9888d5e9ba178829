"""The law of positions: a reader that has caught up holds what the stream holds, wherever it was cut off or resumed,
and however often the stream went back meanwhile. A model of a stream, without a server."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kgents_shared.bus import continuity
from kgents_shared.bus.consume import Position, _Reader
from kgents_shared.bus.continuity import WentBackError
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import LAST_PER_SUBJECT, StreamInfo, StreamState

START = datetime(2026, 11, 21, tzinfo=UTC)
TAIL_MAX = 3
"""So small that a tail is full, and replaced as a whole, within a few steps."""
Operation = tuple[Any, ...]

operations = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 5)),
        st.tuples(st.just("write"), st.integers(0, 5)),
        st.tuples(st.just("copy")),
        st.tuples(st.just("go back")),
        st.tuples(st.just("read"), st.integers(0, 3)),
        st.tuples(st.just("save")),
        st.tuples(st.just("resume")),
    ),
    max_size=40,
)


class Stream:
    """What JetStream does: sequences, a bounded number of messages for each subject, consumers that begin somewhere."""

    def __init__(self, versions: int) -> None:
        self.versions = versions
        self.messages: list[Delivery] = []
        self.seq = 0
        self.now_ns = int(START.timestamp() * 1e9)
        self._copy: tuple[list[Delivery], int] = ([], 0)

    def write(self, number: int) -> None:
        self.now_ns += 1_000_000_000
        self.seq += 1
        subject = f"s{number}"
        self.messages.append(Delivery(subject, str(self.now_ns).encode(), None, self.seq, 0, self.now_ns, 0))
        of_subject = [each for each in self.messages if each.subject == subject]
        for each in of_subject[: -self.versions]:
            self.messages.remove(each)

    def copy(self) -> None:
        self._copy = (list(self.messages), self.seq)

    def go_back(self) -> None:
        messages, self.seq = self._copy
        self.messages = list(messages)

    def info(self) -> StreamInfo:
        first = self.messages[0].seq if self.messages else self.seq + 1
        deleted = self.seq - first + 1 - len(self.messages)
        state = StreamState(len(self.messages), 0, first, START, self.seq, num_deleted=deleted)
        time = START + timedelta(microseconds=(self.now_ns - int(START.timestamp() * 1e9)) // 1000)
        return StreamInfo({"max_msgs_per_subject": self.versions}, "once", state, time)

    def consumer(self, config: dict[str, Any]) -> list[Delivery]:
        if config is LAST_PER_SUBJECT:
            return sorted(self.rows().values(), key=lambda each: each.seq)
        return [each for each in self.messages if each.seq >= config["opt_start_seq"]]

    def rows(self) -> dict[str, Delivery]:
        return {each.subject: each for each in self.messages}


class Consumer:
    """`consume._attached` over the model, with the rows that its batches add up to."""

    def __init__(self) -> None:
        self.reader = _Reader(None)
        self.rows: dict[str, Delivery] = {}
        self.resets = 0
        self.position: Position | None = None
        self._saved: tuple[Position | None, dict[str, Delivery]] = (None, {})

    def read(self, stream: Stream, limit: int | None = None) -> None:
        """Read until the end, or (limit) until the connection breaks."""
        while True:
            try:
                self._attach(stream, limit)
            except WentBackError:
                self.reader.start_over()
            else:
                return

    def _attach(self, stream: Stream, limit: int | None) -> None:
        self.reader.attach(stream.info())
        waiting = stream.consumer(self.reader.consumer_config())
        delivered = waiting[:limit]
        self.reader.continuity.take(delivered)
        is_complete = len(delivered) == len(waiting)
        if is_complete:
            self.reader.complete()
        batch = self.reader.batch(delivered, now_ns=stream.now_ns if is_complete else 0, caught_up=is_complete)
        if batch.reset:
            self.resets += 1
            self.rows.clear()
        self.rows.update({each.subject: each for each in batch.deliveries})
        self.position = batch.position or self.position

    def save(self) -> None:
        """As a position file does: with the rows; nothing before the first snapshot is complete."""
        if self.position is not None and self.position.seq == self.reader.seq:
            self._saved = (self.position, dict(self.rows))

    def resume(self) -> None:
        self.position, rows = self._saved
        self.rows = dict(rows)
        self.reader = _Reader(self.position)


def carry_out(operations: list[Operation], stream: Stream, consumer: Consumer) -> None:
    for operation in operations:
        match operation:
            case ("write", number):
                stream.write(number)
            case ("copy",):
                stream.copy()
            case ("go back",):
                stream.go_back()
            case ("read", 0):
                consumer.read(stream)
            case ("read", limit):
                consumer.read(stream, limit)
            case ("save",):
                consumer.save()
            case ("resume",):
                consumer.resume()
            case _:
                raise AssertionError(operation)
    consumer.read(stream)


@settings(max_examples=500)
@given(operations=operations, versions=st.sampled_from((1, 2)))
@example(  # everything between the copy and the position is replaced: no message there shows that the stream went back
    operations=[
        ("write", 0), ("write", 1), ("copy",), ("write", 1), ("write", 2), ("read", 0), ("go back",),
        ("write", 3), ("write", 3), ("write", 3),
    ],
    versions=1,
)  # fmt: skip
@example(  # and so are all that the tail holds
    operations=[
        *(("write", number) for number in range(4)), ("copy",), ("write", 0), ("write", 1), ("write", 2), ("write", 3),
        ("read", 0), ("go back",), *(("write", number) for number in (1, 2, 3, 1, 2, 3, 1, 2, 3)),
    ],
    versions=1,
)  # fmt: skip
def test_a_reader_that_has_caught_up_holds_what_the_stream_holds(operations: list[Operation], versions: int) -> None:
    stream, consumer = Stream(versions), Consumer()
    with patch.object(continuity, "TAIL_MAX", TAIL_MAX):
        carry_out(operations, stream, consumer)

    assert consumer.rows == stream.rows()


@settings(max_examples=300)
@given(operations=operations, versions=st.sampled_from((1, 2)))
def test_a_stream_that_never_went_back_is_not_read_again(operations: list[Operation], versions: int) -> None:
    """Unless it was cut off before it had caught up."""
    stream, consumer = Stream(versions), Consumer()
    whole = [("read", 0) if each[0] == "read" else each for each in operations if each != ("go back",)]
    carry_out(whole, stream, consumer)

    assert consumer.resets == 0
