"""`app=cart,env!=dev,tier in (web,api),!legacy` → requirements on labels, in kubectl's syntax and meaning. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

EXAMPLE: Final = "app=cart,env!=dev,tier in (web,api),!legacy"

_KEY: Final = r"([A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?)"
_VALUE: Final = r"([^\s,()=!]*)"
_EQUAL: Final = re.compile(rf"{_KEY}\s*(==|=|!=)\s*{_VALUE}")
_SET: Final = re.compile(rf"{_KEY}\s+(in|notin)\s*\(([^()]*)\)")
_PRESENT: Final = re.compile(rf"(!?)\s*{_KEY}")
_COMMA: Final = re.compile(r",(?![^(]*\))")
"""A comma that separates requirements: not one inside parentheses."""


class Requirement(msgspec.Struct, frozen=True):
    """One condition on one label."""

    key: str
    values: tuple[str, ...] = ()
    """Empty: any value will do."""
    is_negated: bool = False
    """The label is absent or has another value."""

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels satisfy it. A missing label satisfies `!=` and `notin`, as in kubectl."""
        value = labels.get(self.key)
        is_met = value is not None and (not self.values or value in self.values)
        return is_met is not self.is_negated


def parse(text: str) -> tuple[Requirement, ...]:
    """The requirements of a selector; all of them must hold.

    Raises:
        ValueError: the text is not a label selector.
    """
    return tuple(_requirement(part.strip(), text) for part in _COMMA.split(text))


def render(requirements: tuple[Requirement, ...]) -> str:
    """The selector as text that `parse` reads back."""
    return ",".join(_rendered(requirements))


def _requirement(part: str, text: str) -> Requirement:
    if hit := _EQUAL.fullmatch(part):
        return Requirement(hit[1], (hit[3],), is_negated=hit[2] == "!=")
    if hit := _SET.fullmatch(part):
        values = tuple(value.strip() for value in hit[3].split(","))
        if all(re.fullmatch(_VALUE, value) for value in values) and values != ("",):
            return Requirement(hit[1], values, is_negated=hit[2] == "notin")
    elif hit := _PRESENT.fullmatch(part):
        return Requirement(hit[2], is_negated=hit[1] == "!")
    raise ValueError(f"expected a label selector such as {EXAMPLE}, found {part!r} in {text!r}")


def _rendered(requirements: tuple[Requirement, ...]) -> Iterator[str]:
    for each in requirements:
        if not each.values:
            yield f"!{each.key}" if each.is_negated else each.key
        elif len(each.values) == 1:
            yield f"{each.key}{'!=' if each.is_negated else '='}{each.values[0]}"
        else:
            yield f"{each.key} {'notin' if each.is_negated else 'in'} ({','.join(each.values)})"
