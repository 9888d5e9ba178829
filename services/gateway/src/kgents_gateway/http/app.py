"""The ASGI application: paths → questions and streams, behind the checks that every request passes."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from kgents_gateway.access import login
from kgents_gateway.access.gate import Gate
from kgents_gateway.access.identity import known_as, who
from kgents_gateway.access.login import Login
from kgents_gateway.access.tokens import Tokens
from kgents_gateway.asking import ask
from kgents_gateway.cache import WORTH_COMPRESSING, Kept, accepted
from kgents_gateway.config import Config
from kgents_gateway.http import decisions, problems, routes
from kgents_gateway.http.openapi import document
from kgents_gateway.http.pages import Pages
from kgents_gateway.mcp import door as mcp
from kgents_gateway.problems import OutOfScopeError, TooLargeError, UnavailableError
from kgents_gateway.questions import QUESTIONS
from kgents_gateway.questions.arguments import Arguments, BadArgumentError, arguments_of
from kgents_gateway.questions.question import Question
from kgents_gateway.stream.arguments import EntityStreamArguments, EventStreamArguments
from kgents_gateway.world import Gateway
from kgents_shared.contract.errors import BusError, NotFoundError

if TYPE_CHECKING:
    from kgents_gateway.access.oidc.login import People

HEADERS: Final = {"cache-control": "private, no-cache", "vary": "accept-encoding, authorization, cookie"}
JSON: Final = "application/json"

Handler = Callable[[Request], Awaitable[Response]]


def application(gateway: Gateway, config: Config, tokens: Tokens | None, *, version: str) -> ASGIApp:
    """The whole of it.

    Args:
        gateway: what answers.
        config: where it listens, and how much one identity may ask.
        tokens: of those who may ask; None: it asks for no login.
        version: of the gateway.
    """
    people = _people(gateway, config, tokens)
    described = msgspec.json.encode(document(version))
    pages = Pages()
    found: list[BaseRoute] = [
        *(_StreamRoute(path, _entities(gateway)) for path in routes.ENTITY_STREAMS),
        *(_StreamRoute(path, _events(gateway)) for path in routes.EVENT_STREAMS),
        *(Route(path, _answering(gateway, QUESTIONS[name], version)) for path, name in routes.QUESTIONS),
        *decisions.routes(gateway),
        Route(routes.IDENTITY, _identity),
        Route(routes.OPENAPI, _constant(described)),
        Route(routes.PAGE, pages.index),
        Route(routes.ASSETS, pages.asset),
        *(_login(tokens, people) if tokens is not None else ()),
        Route(mcp.PATH, mcp.endpoint(gateway, version=version), methods=["POST"]),
    ]
    foreseen = (
        BadArgumentError,
        NotFoundError,
        OutOfScopeError,
        TooLargeError,
        UnavailableError,
        BusError,
        TimeoutError,
    )
    handlers: Mapping[Any, Any] = {
        **dict.fromkeys((*foreseen, Exception), problems.of_error),
        HTTPException: problems.of_http,
    }
    return Gate(Starlette(routes=found, exception_handlers=handlers), config, tokens, people)


def _people(gateway: Gateway, config: Config, tokens: Tokens | None) -> "People | None":
    if config.auth.oidc is None or tokens is None:
        return None
    from kgents_gateway.access.oidc.login import People  # noqa: PLC0415 - its library costs 20 MB

    return People(config.auth.oidc, config.public_url, tokens, gateway.now)


def _login(tokens: Tokens, people: "People | None") -> Iterator[Route]:
    pages = Login(tokens, people)
    yield Route(login.PATH, pages.ask, methods=["GET"])
    yield Route(login.PATH, pages.log_in, methods=["POST"])
    yield Route(login.LOGOUT_PATH, pages.log_out, methods=["POST"])
    if people is not None:
        yield Route(login.PROVIDER_PATH, people.begin, methods=["GET"])
        yield Route(login.CALLBACK_PATH, people.finish, methods=["GET"])
        yield Route(login.END_PATH, people.end, methods=["GET"])


class _StreamRoute(Route):
    """A path that is answered by an ASGI function, so that nothing stands between it and the connection."""

    def __init__(self, path: str, serve: ASGIApp) -> None:
        super().__init__(path, endpoint=_Asgi(serve), methods=["GET"])
        self.methods = {"GET"}  # and not HEAD, which would never end


class _Asgi:
    def __init__(self, serve: ASGIApp) -> None:
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._serve(scope, receive, send)


def _entities(gateway: Gateway) -> ASGIApp:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        arguments = _arguments(request, EntityStreamArguments)
        known = arguments.after or request.headers.get("last-event-id", "")
        await gateway.until_read()
        await gateway.entity_stream.serve(arguments, known, scope, receive, send)

    return serve


def _events(gateway: Gateway) -> ASGIApp:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        arguments = _arguments(request, EventStreamArguments)
        known = arguments.after or request.headers.get("last-event-id", "")
        await gateway.until_read()
        await gateway.event_stream.serve(arguments, known, scope, receive, send)

    return serve


def _answering(gateway: Gateway, question: Question[Any], version: str) -> Handler:
    async def answer(request: Request) -> Response:
        seen = gateway.seen(who(request.scope).scope)
        return await _response(request, await ask(seen, question, _arguments(request, question.arguments)), version)

    return answer


async def _identity(request: Request) -> Response:
    found = msgspec.json.encode(known_as(who(request.scope)))
    return Response(found, headers=HEADERS | {"cache-control": "no-store"}, media_type=JSON)


async def _response(request: Request, kept: Kept, version: str = "") -> Response:
    """`version`: of the gateway; of the same state another one may make another answer."""
    headers = dict(HEADERS)
    if kept.tag:
        headers["etag"] = f'W/"{version}-{kept.tag}"'
        if headers["etag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
    body = kept.body
    encoding = accepted(request.headers.get("accept-encoding", "")) if len(body) >= WORTH_COMPRESSING else ""
    if encoding:
        body, headers["content-encoding"] = await kept.encoded(encoding), encoding
    return Response(body, headers=headers, media_type=JSON)


def _constant(body: bytes) -> Handler:
    kept = Kept("", body)

    async def answer(request: Request) -> Response:
        return await _response(request, kept)

    return answer


def _arguments(request: Request, of: type[Arguments]) -> Any:
    query = request.scope["query_string"]
    try:
        found: dict[str, Sequence[str]] = dict(
            parse_qs(query.decode("ascii"), keep_blank_values=True, strict_parsing=bool(query), max_num_fields=100)
        )
    except ValueError:
        raise BadArgumentError("expected a query of at most 100 `name=value` joined by `&`") from None
    found |= {name: [value] for name, value in request.path_params.items()}
    return arguments_of(found, of)
