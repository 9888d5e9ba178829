"""How far a share that was measured in a sample may be from the true one: Wilson's interval. Pure."""

import math
from typing import Final

Z: Final = 1.96
"""95 % confidence."""


def wilson(found: int, of: int) -> tuple[float, float] | None:
    """The ends of the 95 % confidence interval of a share; None if nothing was counted.

    It stays within 0..1 and keeps a width where all or none were found, unlike the usual mean ± error.
    """
    if of == 0:
        return None
    share, square = found / of, Z * Z / of
    middle = (share + square / 2) / (1 + square)
    half = Z / (1 + square) * math.sqrt(share * (1 - share) / of + square / (4 * of))
    low = 0.0 if found == 0 else max(0.0, middle - half)
    return low, 1.0 if found == of else min(1.0, middle + half)
