"""CEL, as far as our definitions use it: text → a tree of closures → a value, or an error as of the API server.

Known from the language definition (google/cel-spec) and Kubernetes' library of quantities: a field that is absent is an
error, `has` asks for it; `&&` and `||` forget the error of one side where the other decides; a function that is not
known is an error when the rule is read. Numbers are not converted, so that 1 == 1.0 is an error here, too.
"""

import operator
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

Env = dict[str, Any]
Node = Callable[[Env], Any]

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+)|(?P<text>'(?:[^'\\]|\\.)*')|(?P<name>[A-Za-z_]\w*)|(?P<sign>&&|\|\||[=!<>]=|[-!<>.,()\[\]]))"
)
_COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_QUANTITY: Final = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?")
_UNITS: Final = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


class CelError(Exception):
    """The rule cannot be read or evaluated; the API server refuses the object then."""


def evaluate(rule: str, env: Env) -> bool:
    """What a rule says."""
    found = _Reader(rule).whole()(env)
    if not isinstance(found, bool):
        raise CelError(f"expected a boolean of {rule}, found {found!r}")
    return found


class Quantity:
    """An amount; only its own methods compare it."""

    def __init__(self, text: str) -> None:
        match = _QUANTITY.fullmatch(text)
        if match is None:
            raise CelError(f"expected a quantity, found {text!r}")
        number, unit = Decimal(match[1]), match[2] or ""
        if unit[:1] in ("e", "E") and len(unit) > 1:
            number = Decimal(match[1] + unit)
        elif unit.endswith("i"):
            number *= Decimal(1024) ** ("KMGTPE".index(unit[0]) + 1)
        elif unit:
            number = number.scaleb(_UNITS[unit])
        self.number = number


def _is_quantity(text: Any) -> bool:
    try:
        Quantity(_typed(str, text))
    except CelError:
        return False
    return True


def _typed(type_: type[Any], value: Any) -> Any:
    if not isinstance(value, type_):
        raise CelError(f"no such overload: expected {type_.__name__}, found {value!r}")
    return value


_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "size": len,
    "string": lambda value: str(_typed((int, str), value)),  # type: ignore[arg-type] # isinstance takes several
    "quantity": lambda value: Quantity(_typed(str, value)),
    "isQuantity": _is_quantity,
}
_METHODS: Final[dict[str, Callable[..., Any]]] = {
    "replace": lambda own, old, new: _typed(str, own).replace(_typed(str, old), _typed(str, new)),
    "contains": lambda own, other: _typed(str, other) in _typed(str, own),
    "isGreaterThan": lambda own, other: _typed(Quantity, own).number > _typed(Quantity, other).number,
    "compareTo": lambda own, other: (
        (_typed(Quantity, own).number > _typed(Quantity, other).number)
        - (_typed(Quantity, own).number < _typed(Quantity, other).number)
    ),
}


class _Reader:
    """A rule, read from left to right."""

    def __init__(self, rule: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        rule = rule.strip()
        while at < len(rule):
            match = _TOKEN.match(rule, at)
            if match is None or match.lastgroup is None:
                raise CelError(f"cannot read {rule[at:]!r}")
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            at = match.end()
        self._at = 0

    def whole(self) -> Node:
        found = self._or()
        if self._at != len(self._tokens):
            raise CelError(f"cannot read from {self._tokens[self._at]}")
        return found

    def _next(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self, sign: str) -> bool:
        if self._next() in (("sign", sign), ("name", sign)):
            self._at += 1
            return True
        return False

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            raise CelError(f"expected {sign}, found {self._next()}")

    def _or(self) -> Node:
        found = self._and()
        while self._take("||"):
            found = _deciding(found, self._and(), decides=True)
        return found

    def _and(self) -> Node:
        found = self._comparison()
        while self._take("&&"):
            found = _deciding(found, self._comparison(), decides=False)
        return found

    def _comparison(self) -> Node:
        left = self._unary()
        for sign, compare in _COMPARE.items():
            if self._take(sign):
                return _compared(left, self._unary(), compare)
        if self._take("in"):
            right = self._unary()
            return lambda env: left(env) in right(env)
        return left

    def _unary(self) -> Node:
        if self._take("!"):
            inner = self._unary()
            return lambda env: not _typed(bool, inner(env))
        if self._take("-"):
            number = self._unary()
            return lambda env: -number(env)
        return self._selected(self._primary())

    def _selected(self, found: Node) -> Node:
        while self._take("."):
            kind, name = self._next()
            if kind != "name":
                raise CelError(f"expected a field, found {name!r}")
            self._at += 1
            found = self._method(found, name) if self._take("(") else _field(found, name)
        return found

    def _method(self, own: Node, name: str) -> Node:
        if name not in _METHODS:
            raise CelError(f"undeclared reference to {name!r}")
        called, given = _METHODS[name], self._arguments()
        return lambda env: called(own(env), *(each(env) for each in given))

    def _primary(self) -> Node:
        kind, text = self._next()
        self._at += 1
        if kind == "number":
            return lambda _: int(text)
        if kind == "text":
            return lambda _: text[1:-1]
        if (kind, text) == ("sign", "("):
            found = self._or()
            self._need(")")
            return found
        if (kind, text) == ("sign", "["):
            items = self._arguments("]")
            return lambda env: [each(env) for each in items]
        if kind == "name" and self._take("("):
            return self._call(text)
        if kind == "name":
            return lambda env: _known(env, text)
        raise CelError(f"cannot read {text!r}")

    def _call(self, name: str) -> Node:
        given = self._arguments()
        if name == "has":
            return lambda env: _has(given[0], env)
        if name not in _FUNCTIONS:
            raise CelError(f"undeclared reference to {name!r}")
        called = _FUNCTIONS[name]
        return lambda env: called(*(each(env) for each in given))

    def _arguments(self, end: str = ")") -> list[Node]:
        found: list[Node] = []
        while not self._take(end):
            found.append(self._or())
            if not self._take(","):
                self._need(end)
                break
        return found


class _NoSuchKeyError(CelError):
    """A field that is absent; `has` asks for it."""


def _field(own: Node, name: str) -> Node:
    def get(env: Env) -> Any:
        found = own(env)
        if not isinstance(found, dict):
            raise CelError(f"no field {name} of {found!r}")
        if name not in found:
            raise _NoSuchKeyError(f"no such key: {name}")
        return found[name]

    get.__dict__["owner"] = own
    return get


def _has(asked: Node, env: Env) -> bool:
    """Whether the last field is there; one before it that is absent is an error."""
    asked.__dict__["owner"](env)
    try:
        asked(env)
    except _NoSuchKeyError:
        return False
    return True


def _known(env: Env, name: str) -> Any:
    constants = {"true": True, "false": False}
    if name in constants:
        return constants[name]
    if name not in env:
        raise CelError(f"undeclared reference to {name!r}")
    return env[name]


def _compared(left: Node, right: Node, compare: Callable[[Any, Any], Any]) -> Node:
    def comparison(env: Env) -> Any:
        one, other = left(env), right(env)
        if type(one) is not type(other):
            raise CelError(f"no such overload: {one!r} and {other!r}")
        return compare(one, other)

    return comparison


def _deciding(left: Node, right: Node, *, decides: bool) -> Node:
    def both(env: Env) -> bool:
        try:
            first: bool = _typed(bool, left(env))
        except CelError:
            if _typed(bool, right(env)) is decides:
                return bool(decides)
            raise
        return decides if first is decides else bool(_typed(bool, right(env)))

    return both
