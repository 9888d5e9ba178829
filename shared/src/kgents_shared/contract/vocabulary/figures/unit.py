"""The name of a figure → its unit in UCUM: the declared one, or the one that its name ends with. Pure."""

from typing import Final

from kgents_shared.contract.vocabulary.figures import FIGURES
from kgents_shared.contract.vocabulary.figures.figure import CUSTOM

_DECLARED: Final = {(figure.section, figure.name): figure.unit for figure in FIGURES}
_UNIT_OF_ENDING: Final = {
    "_bytes_per_second": "By/s", "_bytes_per_sec": "By/s", "_bytes_per_s": "By/s",
    "_per_second": "/s", "_per_sec": "/s", "_per_s": "/s", "_per_min": "/min",
    "_percent": "%", "_ratio": "1", "utilization": "1",
    "_bytes": "By", "_mb": "MBy", "_seconds": "s", "_ms": "ms", "_s": "s",
}  # fmt: skip
"""The end of a name, the longest first → the unit of a figure that a program of your own sends."""


def unit_of(name: str, section: str = "") -> str:
    """The unit of a figure; empty if neither its declaration nor its name says one.

    Args:
        name: as in the pulse.
        section: the field of the pulse that holds it; empty for a field of the pulse itself, and for `custom`.
    """
    declared = _DECLARED.get((section, name)) or (_DECLARED.get((CUSTOM, name)) if not section else None)
    return declared or _UNIT_OF_ENDING.get(ending_of(name), "")


def ending_of(name: str) -> str:
    """The end of a name that says its unit, `_bytes`; empty if there is none."""
    return next((ending for ending in _UNIT_OF_ENDING if name.endswith(ending)), "")
