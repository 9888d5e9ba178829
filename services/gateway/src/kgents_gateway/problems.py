"""What goes wrong → a problem (RFC 9457): expected, found, try; the same for every way to ask. Pure."""

from typing import ClassVar, Final

import msgspec

from kgents_gateway.questions.arguments import BadArgumentError
from kgents_shared.contract.errors import BusError, DecidedError, NotFoundError

RETRY_S: Final = 5
TITLES: Final = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    413: "Too large",
    414: "Address too long",
    415: "Unsupported media type",
    421: "Misdirected request",
    429: "Too many requests",
    431: "Headers too large",
    500: "Internal error",
    503: "Not available now",
}


class ProblemDetails(msgspec.Struct, frozen=True):
    """The body of every answer that is an error."""

    status: int
    title: str
    detail: str
    """What was expected, what was found, and what to try."""
    type: str = "about:blank"


class UnavailableError(Exception):
    """Not now."""

    status: ClassVar[int] = 503

    def __init__(self, detail: str, *, retry_after_s: int = RETRY_S) -> None:
        """`retry_after_s`: when to try again."""
        super().__init__(detail)
        self.retry_after_s: Final = retry_after_s


class TooManyError(UnavailableError):
    """Not now, because of what this identity has open already."""

    status = 429


class ConflictError(Exception):
    """What is asked for does not fit to what is there now."""


class ForbiddenError(Exception):
    """Not with these rights."""


class WrongMediaTypeError(Exception):
    """A body of another kind."""


class OutOfScopeError(Exception):
    """Not for this identity."""


class TooLargeError(Exception):
    """More than this way to ask takes or answers."""


_WORDED: Final[dict[type[Exception], int]] = {
    BadArgumentError: 400,
    ForbiddenError: 403,
    OutOfScopeError: 403,
    WrongMediaTypeError: 415,
    NotFoundError: 404,  # its text says which names are near
    ConflictError: 409,
    DecidedError: 409,
    TooLargeError: 413,
}
"""Errors whose words are for the caller."""


def problem(status: int, detail: str) -> ProblemDetails:
    """A problem."""
    return ProblemDetails(status, TITLES.get(status, "Error"), detail)


def problem_of(error: Exception) -> ProblemDetails:
    """What a caller is shown of an error. The words of an error that was not foreseen are for the log alone."""
    for of, status in _WORDED.items():
        if isinstance(error, of):
            return problem(status, str(error))
    match error:
        case UnavailableError():
            return problem(error.status, str(error))
        case BusError() | TimeoutError():  # NATS's own words may name what the caller may not see
            return problem(503, "the streams cannot be read now; try again")
        case _:
            return problem(500, "the gateway failed; its log says why")
