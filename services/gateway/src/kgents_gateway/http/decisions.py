"""A request → a decision, if its sender may decide; and a line in the log, whatever becomes of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kgents_gateway.access.gate import host_of
from kgents_gateway.access.identity import Identity, Session, who
from kgents_gateway.decisions import DECISIONS, audit
from kgents_gateway.decisions.decision import WITHIN_S, Decision, Desk, Nothing
from kgents_gateway.http.body import JSON, body_of, is_json
from kgents_gateway.http.problems import of_error
from kgents_gateway.problems import ForbiddenError, UnavailableError, WrongMediaTypeError, problem_of
from kgents_gateway.questions.arguments import Arguments, BadArgumentError, converted
from kgents_gateway.world import Gateway
from kgents_shared.contract.decision import Author
from kgents_shared.contract.tokens import WRITE_ALERTS

Handler = Callable[[Request], Awaitable[Response]]

SAME_ORIGIN: Final = "same-origin"
HEADERS: Final = {"cache-control": "no-store"}


def routes(gateway: Gateway) -> Iterator[Route]:
    """Each path once, with all that can be decided there: a method that is none is refused with those that are."""
    by_path: dict[str, dict[str, Handler]] = {}
    for each in DECISIONS:
        by_path.setdefault(each.path, {})[each.method] = endpoint(gateway, each)
    for path, handlers in by_path.items():
        yield Route(path, _by_method(handlers), methods=list(handlers))


def _by_method(handlers: Mapping[str, Handler]) -> Handler:
    async def answer(request: Request) -> Response:
        return await handlers[request.method](request)

    return answer


def endpoint(gateway: Gateway, decision: Decision[Any, Any]) -> Handler:
    """What answers a request to decide something."""

    async def answer(request: Request) -> Response:
        identity = who(request.scope)
        author = Author(identity.name, "web" if _is_of_page(request) else "http")
        peer = request.client.host if request.client is not None else ""
        about = f"{request.method} {request.url.path}"
        try:
            _check(request, identity)
            arguments = converted(request.path_params, decision.arguments)
            body = await _body(request, decision.body)
            _check_reachable(gateway)
            desk = Desk(gateway.seen(identity.scope), gateway.bus, author, peer)
            async with asyncio.timeout(WITHIN_S):
                outcome = await decision.decide(desk, arguments, body)
        except Exception as error:
            found = problem_of(error)
            why = found.detail if found.status < 500 else type(error).__name__
            audit.note(decision.name, author, peer=peer, about=about, status=found.status, why=why)
            if found.status == 500:
                raise  # the server logs it
            return await of_error(request, error)
        audit.note(decision.name, author, peer=peer, about=about, status=200, outcome=outcome)
        return Response(
            msgspec.json.encode(decision.answer(outcome.stored, outcome.is_new)), headers=HEADERS, media_type=JSON
        )

    return answer


def _check(request: Request, identity: Identity) -> None:
    """Whether this identity may decide, and means to."""
    if WRITE_ALERTS not in identity.may:
        raise ForbiddenError(f"expected a token that may {WRITE_ALERTS}, found one that may not")
    is_by_cookie = isinstance(identity.proof, Session) or (
        identity.proof is not None and "authorization" not in request.headers
    )
    if is_by_cookie and not _is_of_page(request):
        raise ForbiddenError("expected a request of this gateway's page, or one with a bearer token; found neither")


def _check_reachable(gateway: Gateway) -> None:
    if gateway.stale_since is not None:
        raise UnavailableError("NATS cannot be reached, where this has to be stored; try again")


def _is_of_page(request: Request) -> bool:
    """Whether a page of this gateway sent it, as far as a browser says."""
    if (site := request.headers.get("sec-fetch-site")) is not None:
        return site == SAME_ORIGIN
    origin, host = request.headers.get("origin", ""), request.headers.get("host", "")
    return bool(origin) and host_of(origin) == host_of(f"http://{host}")


async def _body(request: Request, of: type[Arguments]) -> Arguments:
    raw = await body_of(request)
    if of is Nothing:
        if raw:
            raise BadArgumentError("expected no body, found one")
        return Nothing()
    if not is_json(request):
        raise WrongMediaTypeError(f"expected content-type {JSON}")
    try:
        given = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadArgumentError("expected a body of JSON") from None
    if not isinstance(given, dict):
        raise BadArgumentError("expected a JSON object as the body")
    return converted(given, of)
