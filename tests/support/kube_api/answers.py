"""Answers that are sent in one piece."""

import msgspec
from aiohttp import web

from support.kube_api.status import ApiError, Json

HTML = (
    "<html>\r\n<head><title>{code}</title></head>\r\n<body>\r\n<center><h1>{code}</h1></center>\r\n</body></html>\r\n"
)


def json_answer(content: Json, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(content), status=status, content_type="application/json")


def refusal(error: ApiError) -> web.Response:
    response = json_answer(error.status(), error.code)
    if error.retry_after_s:
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def page_not_found() -> web.Response:
    """What a server says of a path that no API group claims: no Status, only text.

    A custom resource whose CustomResourceDefinition is gone, or does not serve the version, is such a path:
    `crdHandler.ServeHTTP` in k8s.io/apiextensions-apiserver passes it on to http.NotFound.
    """
    return web.Response(status=404, text="404 page not found\n")


def proxy_error(code: int) -> web.Response:
    """What stands between client and server says that it cannot reach it."""
    return web.Response(status=code, text=HTML.format(code=code), content_type="text/html")
