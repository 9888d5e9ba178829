"""Two notifiers, one notice, one receiver, and all that can go wrong between them: schedules for the delivery protocol.

A schedule is a list of weighted steps. After it everything works again, and the laws are judged: the receiver knows the
final state (or never heard of what is over), and it was sent nothing twice beyond the doubts that the notice counts.
"""

import random
from collections.abc import Sequence
from typing import Any, Final

from kgents_alert_notifier.delivery.outcome import (
    Delivered,
    Found,
    InDoubt,
    NotFound,
    NotSent,
    Outcome,
)
from kgents_shared.contract.notice import Notice

KINDS: Final = ("plain", "keyed", "searchable")
"""Receivers: with nothing to recognise a message by; with a key (as PagerDuty, only while it is open); searchable."""
WEIGHTS: Final = {
    "change": 2, "end": 1, "second": 4, "long": 1, "fault": 4, "nats": 1, "read": 6, "step": 16, "arrive": 5,
    "crash": 1,
}  # fmt: skip
"""Step → how often it is drawn. With equal weights most schedules get no further than an intent."""
STEPS: Final = tuple(WEIGHTS)
FATES: Final = ("ok", "ok", "answer lost", "never arrived", "429", "ack lost")
HANDLE: Final = {"channel": "C1", "ts": "1.0"}
NOTICE: Final = Notice(text="", cluster="test", receiver="ops", incident="i")
LENGTH: Final = 30
SETTLED: Final = 60
"""Rounds in which everything works that any delivery needs at most, each a second: two deadlines and some requests."""


class BrokenLawError(AssertionError):
    """A law does not hold."""


class Receiver:
    """What the receiver has, and how often it got each revision."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.revision = 0
        self.is_open = False
        self.openings: dict[str, int] = {}
        self.got: dict[int, int] = {}
        self.repeats = 0

    def take(self, key: str, revision: int, *, is_over: bool, handle: dict[str, str]) -> None:
        if self.kind == "searchable" and handle:
            self.revision = max(self.revision, revision)  # changes the message that is there
            return
        self.got[revision] = self.got.get(revision, 0) + 1
        self.repeats += self.got[revision] > 1
        if not is_over and not (self.is_open and key in self.openings):
            self.openings[key] = self.openings.get(key, 0) + 1
        self.is_open = not is_over
        self.revision = revision


class Request:
    """On its way; it arrives within the limit or not at all."""

    def __init__(self, instance: "Instance", own: Any, fate: str, started_s: float) -> None:
        self.instance, self.own, self.fate, self.started_s = instance, own, fate, started_s
        self.handle = instance.notice.handle


class Instance:
    """One notifier: what it has read, and the intent that it wrote."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.notice, self.seq, self.found_s = NOTICE, -1, 0.0
        self.desired: Any = None
        self.own: Any = None
        self.is_sending = False


class World:
    """The stream, the receiver, both instances and their clock."""

    def __init__(self, protocol: Any, kind: str) -> None:
        self.protocol = protocol
        self.receiver = Receiver(kind)
        self.notice, self.seq = NOTICE, 0
        self.now_s = 100.0
        self.revision, self.is_over = 1, False
        self.is_up = True
        self.fate = "ok"
        self.requests: list[Request] = []
        self.instances = (Instance(), Instance())

    # What happens

    def do(self, step: str, which: int) -> None:
        match step:
            case "change" if not self.is_over:
                self.revision += 1
            case "end" if not self.is_over:
                self.revision, self.is_over = self.revision + 1, True
            case "second" | "long":
                self.pass_time(1.0 if step == "second" else self.protocol.DEADLINE_S + 1)
            case "fault":
                self.fate = FATES[(FATES.index(self.fate) + 1 + which) % len(FATES)]
            case "nats":
                self.is_up = not self.is_up
            case "read":
                self.read(self.instances[which])
            case "step":
                self.step(self.instances[which])
            case "arrive":
                self.arrive()
            case "crash":
                self.instances[which].forget()
            case _:
                pass  # of an incident that is over nothing changes

    def pass_time(self, by_s: float) -> None:
        self.now_s += by_s
        while self.requests and self.now_s > self.requests[0].started_s + self.protocol.REQUEST_S:
            self.arrive()

    def read(self, instance: Instance) -> None:
        if not self.is_up:
            return
        if instance.seq != self.seq:
            instance.notice, instance.seq, instance.found_s = self.notice, self.seq, self.now_s
            instance.own, instance.is_sending = None, False
        instance.desired = self.protocol.Desired(self.revision, "resolved" if self.is_over else "open")

    def step(self, instance: Instance) -> None:
        if instance.desired is None:
            self.read(instance)
        if instance.desired is None or instance.is_sending:
            return
        protocol = self.protocol
        action = protocol.decide(
            instance.notice, instance.desired, instance.own, found_s=instance.found_s, now_s=self.now_s
        )
        if isinstance(action, protocol.Write):
            self.write(instance, action.notice, action.intent)
        elif isinstance(action, protocol.Send):
            if instance.own is None:
                instance.own = protocol.Own(action.desired, action.deadline_s)
            instance.is_sending = True
            self.requests.append(Request(instance, instance.own, self.fate, self.now_s))

    def write(self, instance: Instance, notice: Notice, intent: Any) -> None:
        if not self.is_up:
            return
        if instance.seq != self.seq:
            self.read(instance)
            return
        self.notice, self.seq = notice, self.seq + 1
        if self.fate == "ack lost":  # stored, and the writer cannot know
            instance.own = None
            return
        instance.notice, instance.seq, instance.found_s = notice, self.seq, self.now_s
        instance.own = self.protocol.Own(intent, self.now_s + self.protocol.DEADLINE_S) if intent else None

    def arrive(self) -> None:
        if not self.requests:
            return
        request = self.requests.pop(0)
        outcome = self.answer(request)
        if request.instance.own is request.own:
            request.own.outcome = outcome
            request.instance.is_sending = False

    def answer(self, request: Request) -> Outcome:
        receiver, own = self.receiver, request.own
        if request.fate == "429":
            return NotSent("429", 1.0)
        if request.fate == "never arrived":
            return InDoubt("timeout")
        handle = request.handle
        if receiver.kind == "searchable":
            own.search = Found(HANDLE, receiver.revision) if receiver.revision else NotFound()
            if isinstance(own.search, Found):
                handle = dict(own.search.handle)
        receiver.take(self.protocol.key("i"), own.desired.revision, is_over=own.desired.is_over, handle=handle)
        if request.fate == "answer lost":
            return InDoubt("timeout")
        return Delivered(HANDLE if receiver.kind == "searchable" else {})

    # What must be true

    def settle(self) -> None:
        """Everything works, until nothing changes any more."""
        self.is_up, self.fate = True, "ok"
        for _ in range(SETTLED):
            for instance in self.instances:
                self.read(instance)
                self.step(instance)
            self.arrive()
            self.arrive()
            before = self.seq
            self.pass_time(1.0)
            if self.is_settled(before):
                return
        raise BrokenLawError(f"no end: {self.notice}")

    def is_settled(self, before: int) -> bool:
        if self.requests or self.seq != before:
            return False
        for instance in self.instances:
            self.read(instance)
            step = self.protocol.decide(
                self.notice, instance.desired, instance.own, found_s=instance.found_s, now_s=self.now_s
            )
            if not isinstance(step, self.protocol.Rest):
                return False
        return True

    def judge(self) -> None:
        self.settle()
        receiver = self.receiver
        was_never_sent = self.is_over and not receiver.got
        if receiver.revision != self.revision and not was_never_sent:
            raise BrokenLawError(f"the receiver knows revision {receiver.revision} of {self.revision}: {self.notice}")
        if receiver.is_open and self.is_over and receiver.kind == "keyed":
            raise BrokenLawError("open at the receiver though over")
        if receiver.repeats > self.notice.doubts:
            raise BrokenLawError(f"{receiver.repeats} repeats with {self.notice.doubts} doubts: {receiver.got}")
        if receiver.kind == "keyed" and sum(receiver.openings.values()) > 1:
            raise BrokenLawError(f"openings {receiver.openings}")
        if receiver.kind == "searchable" and sum(receiver.got.values()) > 1:
            raise BrokenLawError(f"{receiver.got} messages instead of one")


def run(protocol: Any, kind: str, schedule: Sequence[tuple[str, int]]) -> None:
    """Carry a schedule out and judge it.

    Raises:
        BrokenLawError: a law does not hold.
    """
    world = World(protocol, kind)
    for step, which in schedule:
        world.do(step, which)
    world.judge()


def drawn(source: random.Random) -> list[tuple[str, int]]:
    """One schedule."""
    steps = source.choices(STEPS, tuple(WEIGHTS.values()), k=LENGTH)
    return [(step, source.getrandbits(1)) for step in steps]


def first_broken(protocol: Any, count: int) -> tuple[int, BrokenLawError] | None:
    """The number of the first schedule of so many that breaks a law, and which."""
    for number in range(count):
        source = random.Random(number)
        try:
            run(protocol, KINDS[number % len(KINDS)], drawn(source))
        except BrokenLawError as error:
            return number, error
    return None
