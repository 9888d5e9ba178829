"""A rule of a definition, evaluated by the engine of CEL's authors, with Kubernetes' functions for quantities.

What a quantity may be compared with is checked as there: here it is a map, so that nothing but its own methods takes
it. A real API server also checks each rule against the schema, and what it may cost, when the definition is made.
"""

from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from cel_expr_python import cel  # type: ignore[import-untyped] # it has stubs, and no py.typed
from cel_expr_python.ext import ext_strings  # type: ignore[import-untyped] # as above

from support.kube_api.quantity import amount

_NUMBER: Final = "number"
_QUANTITY: Final = cel.Type.Map(cel.Type.STRING, cel.Type.STRING)


class CelError(Exception):
    """The rule cannot be read or evaluated; the API server refuses the object then."""


def evaluate(rule: str, env: dict[str, Any]) -> bool:
    """What a rule says."""
    try:
        found = _read(rule).eval(data=env)
    except RuntimeError as error:
        raise CelError(str(error)) from None
    if found.type() != cel.Type.BOOL:
        raise CelError(str(found.value()))
    return bool(found.value())


@lru_cache
def _read(rule: str) -> cel.Expression:
    return _ENV.compile(rule)


def _number(quantity: Any) -> Decimal:
    return Decimal(str(quantity[_NUMBER]))


def _is_quantity(text: str) -> bool:
    try:
        amount(text)
    except ValueError:
        return False
    return True


def _compared(one: Any, other: Any) -> int:
    return (_number(one) > _number(other)) - (_number(one) < _number(other))


def _function(name: str, returns: cel.Type, takes: list[cel.Type], does: Any, *, is_member: bool) -> cel.FunctionDecl:
    overload = cel.Overload(id=f"k8s_{name}", return_type=returns, parameters=takes, is_member=is_member, impl=does)
    return cel.FunctionDecl(name, [overload])


_LIBRARY: Final = cel.CelExtension(
    "kubernetes",
    [
        _function("isQuantity", cel.Type.BOOL, [cel.Type.STRING], _is_quantity, is_member=False),
        _function("quantity", _QUANTITY, [cel.Type.STRING], lambda text: {_NUMBER: str(amount(text))}, is_member=False),
        _function("compareTo", cel.Type.INT, [_QUANTITY, _QUANTITY], _compared, is_member=True),
        _function(
            "isGreaterThan",
            cel.Type.BOOL,
            [_QUANTITY, _QUANTITY],
            lambda one, other: _compared(one, other) > 0,
            is_member=True,
        ),
    ],
)
_ENV: Final = cel.NewEnv(
    variables={"self": cel.Type.DYN, "oldSelf": cel.Type.DYN}, extensions=[_LIBRARY, ext_strings.ExtStrings()]
)
