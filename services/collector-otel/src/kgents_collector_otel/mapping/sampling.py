"""How many calls a span stands for. Pure.

Only a sampler that writes its threshold into the trace state (`ot=th:…`) says it; the usual ones of today say nothing,
and then it is configured for the application, or not known.
"""

from typing import Final

KNOWN: Final = "known"
CONFIGURED: Final = "configured"
UNKNOWN: Final = "unknown"

WEIGHT_MAX: Final = 1e6
"""Of one span: a sampler that keeps one in a million, and no more by mistake."""
_BITS: Final = 56
_DIGITS: Final = _BITS // 4
REMEMBERED: Final = 4_096
STATE_BYTES: Final = 512
"""Of a trace state that is remembered: what each part of a system has to pass on, by the W3C."""


class Weights(dict[bytes, float]):
    """A trace state → the weight that it says; 0 if it says none. Learns what it is asked."""

    def __missing__(self, state: bytes) -> float:
        if len(self) >= REMEMBERED:
            self.clear()
        weight = weight_of(state)
        if len(state) <= STATE_BYTES:
            self[state] = weight
        return weight


def weight_of(state: bytes) -> float:
    """1 / the probability with which a trace of this state was kept; 0 if it does not say."""
    for member in state.split(b","):
        vendor, _, value = member.strip().partition(b"=")
        if vendor != b"ot":
            continue
        for part in value.split(b";"):
            name, _, digits = part.partition(b":")
            if name == b"th" and 0 < len(digits) <= _DIGITS:
                return _of_threshold(digits)
    return 0.0


def _of_threshold(digits: bytes) -> float:
    """Hexadecimal digits, of which trailing zeros are left out: the share of the traces that is dropped."""
    try:
        threshold = int(digits.ljust(_DIGITS, b"0"), 16)
    except ValueError:
        return 0.0
    kept = (1 << _BITS) - threshold
    return min(WEIGHT_MAX, (1 << _BITS) / kept) if kept > 0 else 0.0
