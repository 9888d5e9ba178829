"""What goes wrong between a client and an API server, drawn from a seed: only what a real server or network can do."""

import enum
import random
from collections import Counter
from collections.abc import Iterator, Mapping


class Fault(enum.Enum):
    """One fault. The first group happens to requests, the second to the lines of a stream."""

    REFUSE = "the connection is reset without an answer"
    SILENCE = "the request is read and never answered"
    HTML = "a proxy's 500, 502, 503 or 504 with an HTML page"
    THROTTLE = "429 with Retry-After"
    UNAUTHORIZED = "401: the token has just been rotated"
    COMPACT = "everything older is compacted, so that a next page or a resumed watch finds 410"
    STALE = "a lagging server answers what may be answered from a cache with an older state"
    SHORT = "the answer to a list ends in the middle"

    CUT = "the connection is reset in the middle of a line"
    END = "the stream ends cleanly, before its time"
    HANG = "no byte comes any more, and the connection stays open"
    TRICKLE = "a line comes in small pieces"
    ERROR = "an ERROR line with code 500"
    GONE = "an ERROR line with code 410"


OF_REQUESTS = (
    Fault.REFUSE, Fault.SILENCE, Fault.HTML, Fault.THROTTLE,
    Fault.UNAUTHORIZED, Fault.COMPACT, Fault.STALE, Fault.SHORT,
)  # fmt: skip
OF_STREAMS = (Fault.CUT, Fault.END, Fault.HANG, Fault.TRICKLE, Fault.ERROR, Fault.GONE)


class Faults:
    """Draws faults with the given probabilities: for each request, and for each line of each stream.

    A path's n-th request meets the same fate for the same seed, whatever other requests run beside it.
    """

    def __init__(self, seed: int, rates: Mapping[Fault, float]) -> None:
        self.happened: Counter[Fault] = Counter()
        self._seed = seed
        self._rates = dict(rates)
        self._requests: Counter[str] = Counter()

    @classmethod
    def mixed(cls, seed: int) -> "Faults":
        """A schedule that favours some faults and leaves out others, as the seed decides."""
        random_ = random.Random(seed)
        return cls(
            seed,
            {fault: random_.choice((0.0, 0.02, 0.1)) for fault in OF_REQUESTS}
            | {fault: random_.choice((0.0, 0.005, 0.03)) for fault in OF_STREAMS},
        )

    def random_for(self, path: str) -> random.Random:
        """The dice of one request."""
        self._requests[path] += 1
        return random.Random(f"{self._seed} {path} {self._requests[path]}")

    def of_request(self, dice: random.Random) -> Fault | None:
        return self._draw(dice, OF_REQUESTS)

    def of_line(self, dice: random.Random) -> Fault | None:
        return self._draw(dice, OF_STREAMS)

    def _draw(self, dice: random.Random, faults: tuple[Fault, ...]) -> Fault | None:
        chance = dice.random()
        for fault in faults:
            chance -= self._rates.get(fault, 0.0)
            if chance < 0:
                self.happened[fault] += 1
                return fault
        return None


def pieces(line: bytes, dice: random.Random) -> Iterator[bytes]:
    """A line in a few pieces, broken anywhere, even inside a character."""
    start = 0
    while start < len(line):
        size = dice.randint(1, max(1, len(line) // 3))
        yield line[start : start + size]
        start += size
