"""One route as data: what it matches, when, and whom it notifies. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Final

import msgspec

from kgents_shared.contract.section import Fault, Section

FIELDS: Final = ("cluster", "namespace", "kind", "name", "check", "severity")
LABEL: Final = "label."
_SEVERITIES: Final = ("warning", "critical")

Seconds = Annotated[float, msgspec.Meta(ge=0, le=7 * 86_400)]
Match = Mapping[str, str | list[str]]


class EscalationConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who else is notified while no one has acknowledged."""

    after_s: Annotated[float, msgspec.Meta(gt=0, le=7 * 86_400)]
    """How long no one has taken care of it: since it was opened or became worse, or since a silence, an acknowledgement
    or the time off of this route ended."""

    to: list[str]
    """Receivers."""


class RouteConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One route."""

    match: dict[str, str | list[str]] = {}
    """What must be so: `cluster`, `namespace`, `kind`, `name` and `label.<name>` of the probable cause, `check`,
    `severity`. A list: any of these. `*` stands for any characters, a leading `!` negates. Empty: everything."""

    when: str = ""
    """The name of a window in which the route counts; `!name`: outside of it. Empty: always."""

    to: list[str] = []
    """Receivers; empty: no one is notified of what this route takes."""

    also: bool = False
    """Whether the routes after this one count, too."""

    wait_s: Seconds = 30.0
    """How long an alert must fire before its incident is opened: others of the same cause join it meanwhile."""

    regroup_s: Seconds = 300.0
    """How long at least between two notifications that more entities are affected."""

    repeat_s: Seconds = 0.0
    """How often an incident that is open and not acknowledged is notified again; 0: never."""

    min_alerts: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    """How many entities must be affected."""

    escalate: list[EscalationConfig] = []
    """Who else is notified while no one has acknowledged."""

    def faults(self) -> Iterator[Fault]:
        for name, value in self.match.items():
            known = name in FIELDS or (name.startswith(LABEL) and name != LABEL)
            if not known:
                yield Fault(f"match.{name}", f"one of {', '.join(FIELDS)}, label.<name>", name, "correct or remove it")
            elif name == "severity" and (odd := [each for each in listed(value) if not _is_severity(each)]):
                yield Fault("match.severity", f"one of {', '.join(_SEVERITIES)}", f'"{odd[0]}"', "try: critical")

    @property
    def receivers(self) -> list[str]:
        """Every receiver that it names, each once."""
        return list(dict.fromkeys([*self.to, *(name for step in self.escalate for name in step.to)]))


def listed(value: str | list[str]) -> list[str]:
    """The values that a match admits."""
    return [value] if isinstance(value, str) else value


def matches(match: Match, facts: Mapping[str, str]) -> bool:
    """Whether facts (`namespace`, `label.team`, …) are what a match admits. An absent one is an empty text."""
    return all(_admits(listed(value), facts.get(name, "")) for name, value in match.items())


def _admits(values: Sequence[str], found: str) -> bool:
    """Any of the plain values, if there are any, and none of the negated ones."""
    plain = [each for each in values if not each.startswith("!")]
    negated = [each[1:] for each in values if each.startswith("!")]
    return (not plain or any(fits(found, each) for each in plain)) and not any(fits(found, each) for each in negated)


def fits(value: str, pattern: str) -> bool:
    """Whether a value is as a pattern says, in which `*` stands for any characters and nothing else for others."""
    return fnmatchcase(value, pattern.replace("[", "[[]").replace("?", "[?]"))


def takes_critical(route: RouteConfig) -> bool:
    """Whether it may notify someone of what is critical."""
    severity = route.match.get("severity", [])
    return bool(route.to) and _admits(listed(severity), "critical")


def takes_everything(routes: Sequence[RouteConfig]) -> bool:
    """Whether a route takes what no other one matches, at any time; that it notifies no one is meant then."""
    wide = [
        listed(each.match.get("severity", [])) for each in routes if not each.when and each.match.keys() <= {"severity"}
    ]
    return all(any(_admits(values, severity) for values in wide) for severity in _SEVERITIES)


def shadowed_by(route: RouteConfig, before: Sequence[RouteConfig]) -> int | None:
    """Which of the routes before takes all that this one would match, by its place; None: none of them does."""
    for place, other in enumerate(before):
        if not other.also and not other.when and all(_covers(route, name, other.match[name]) for name in other.match):
            return place
    return None


def _covers(route: RouteConfig, name: str, admitted: str | list[str]) -> bool:
    """Whether what a route admits of a field is among what another one admits. False where that is not certain."""
    own = listed(route.match.get(name, []))
    return bool(own) and set(own) <= set(listed(admitted))


def _is_severity(value: str) -> bool:
    return value.removeprefix("!") in _SEVERITIES
