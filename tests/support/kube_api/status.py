"""Failures as an API server words them: a `Status` object with a code, a reason, a message and details."""

from typing import Any

Json = dict[str, Any]


class ApiError(Exception):
    """A request that the server refuses. `status()` is what the client reads."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Json | None = None,
        continue_token: str = "",
        retry_after_s: int = 0,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_s = retry_after_s
        self._reason = reason
        self._details = details
        self._continue_token = continue_token

    def status(self) -> Json:
        found: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self._continue_token} if self._continue_token else {},
            "status": "Failure",
            "message": str(self),
            "reason": self._reason,
        }
        details = dict(self._details or {})
        if self.retry_after_s:
            details["retryAfterSeconds"] = self.retry_after_s
        if self._details is not None or details:
            found["details"] = details
        return found | {"code": self.code}


def success(details: Json) -> Json:
    """What most deletions answer."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def details_of(group: str, plural: str, name: str = "") -> Json:
    found = {"name": name, "group": group, "kind": plural}
    return {key: value for key, value in found.items() if value}


def qualified(group: str, plural: str) -> str:
    return f"{plural}.{group}" if group else plural


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def not_found(group: str, plural: str, name: str) -> ApiError:
    message = f'{qualified(group, plural)} "{name}" not found'
    return ApiError(404, "NotFound", message, details=details_of(group, plural, name))


def unknown_resource() -> ApiError:
    """What go-restful answers in a group that is built in: `serviceErrorHandler` in k8s.io/apiserver/pkg/server."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", details={})


def method_not_allowed() -> ApiError:
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def not_acceptable() -> ApiError:
    return ApiError(406, "NotAcceptable", "only the following media types are accepted: application/json")


def already_exists(group: str, plural: str, name: str) -> ApiError:
    message = f'{qualified(group, plural)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=details_of(group, plural, name))


def conflict(group: str, plural: str, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {qualified(group, plural)} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=details_of(group, plural, name))


def too_old(found: int, oldest: int) -> ApiError:
    """A watch, or a list at an exact version, from before the last compaction."""
    return ApiError(410, "Expired", f"too old resource version: {found} ({oldest})")


def page_expired(continue_token: str) -> ApiError:
    """A next page from before the last compaction; the token given leads to the rest of a *newer* list."""
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    return ApiError(410, "Expired", message, continue_token=continue_token)


def too_large(found: int, current: int) -> ApiError:
    """A version that this server has not seen yet."""
    details = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
    message = f"Timeout: Too large resource version: {found}, current: {current}"
    return ApiError(504, "Timeout", message, details=details, retry_after_s=1)


def unsupported_media_type() -> ApiError:
    message = "the body of the request was in an unknown format - accepted media types include: application/json"
    return ApiError(415, "UnsupportedMediaType", message)


def invalid(kind: str, name: str, field: str, why: str, *, group: str = "") -> ApiError:
    full = f"{kind}.{group}" if group else kind
    details = details_of(group, kind, name) | {
        "causes": [{"reason": why.partition(":")[0], "message": why, "field": field}]
    }
    return ApiError(422, "Invalid", f'{full} "{name}" is invalid: {field}: {why}', details=details)


def no_manager() -> ApiError:
    """An apply by nobody."""
    why = "Required value: is required for apply patch"
    return invalid("PatchOptions", "", "fieldManager", why, group="meta.k8s.io")


def invalid_options(field: str, why: str) -> ApiError:
    """List options that contradict each other, or that this server does not support."""
    return invalid("ListOptions", "", field, f"Forbidden: {why}", group="meta.k8s.io")


def throttled() -> ApiError:
    return ApiError(429, "TooManyRequests", "too many requests, please try again later", retry_after_s=1)


def initializing() -> ApiError:
    """A resource whose storage is being made ready: custom ones after a start, and when their definition changes."""
    return ApiError(429, "TooManyRequests", "storage is (re)initializing", retry_after_s=1)


def internal_error(why: str) -> ApiError:
    details = {"causes": [{"message": why}]}
    return ApiError(500, "InternalError", f"Internal error occurred: {why}", details=details)
