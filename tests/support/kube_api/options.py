"""The query of a list or watch: read, checked, and the token that leads to a next page."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from support.kube_api.resources import Resource
from support.kube_api.selectors import Selects, selection
from support.kube_api.status import bad_request, invalid_options


class PageToken(msgspec.Struct, frozen=True):
    """Where a next page begins. `rv` -1 leads through whatever is there now."""

    rv: int
    start: str
    v: str = "meta.k8s.io/v1"

    def encode(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "PageToken":
        try:
            return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=cls)
        except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
            raise bad_request(f"continue key is not valid: {error}") from error


@dataclass(frozen=True)
class Options:
    """What a client asks of a list or a watch."""

    is_watch: bool
    labels: str
    fields: str
    limit: int
    continue_: str
    version: str
    """`""` the most recent, `"0"` whatever is cached, else a number."""
    match: str
    timeout_s: float | None
    allows_bookmarks: bool
    initial_events: bool | None
    include: str

    @property
    def revision(self) -> int:
        return int(self.version or 0)

    def selects(self, resource: Resource, namespace: str) -> Selects:
        return selection(resource, namespace, self.labels, self.fields)


def read(query: Mapping[str, str]) -> Options:
    """Read a query.

    Raises:
        ApiError: 400, for what is no number.
    """
    initial = query.get("sendInitialEvents")
    timeout = _number(query, "timeoutSeconds")
    version = query.get("resourceVersion", "")
    if version and not version.isdecimal():
        raise bad_request(f'invalid resource version: strconv.ParseUint: parsing "{version}": invalid syntax')
    return Options(
        is_watch=_flag(query.get("watch", "")),
        labels=query.get("labelSelector", ""),
        fields=query.get("fieldSelector", ""),
        limit=_number(query, "limit"),
        continue_=query.get("continue", ""),
        version=version,
        match=query.get("resourceVersionMatch", ""),
        timeout_s=timeout or None,
        allows_bookmarks=_flag(query.get("allowWatchBookmarks", "")),
        initial_events=None if initial is None else _flag(initial),
        include=query.get("includeObject", "Metadata"),
    )


def check(options: Options, *, knows_watch_list: bool) -> None:
    """Refuse what contradicts itself.

    Raises:
        ApiError: 422, or 400.
    """
    if options.is_watch:
        _check_watch(options, knows_watch_list=knows_watch_list)
        return
    if options.initial_events is not None:
        raise invalid_options("sendInitialEvents", "sendInitialEvents is forbidden for list")
    if options.match and not options.version:
        raise invalid_options(
            "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"
        )
    if options.match and options.continue_:
        raise invalid_options("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
    if options.match == "Exact" and options.version == "0":
        raise invalid_options(
            "resourceVersionMatch", 'resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
        )
    if options.continue_ and options.version not in ("", "0"):
        raise bad_request("specifying resource version is not allowed when using continue")


def _check_watch(options: Options, *, knows_watch_list: bool) -> None:
    if options.initial_events is None:
        if options.match:
            raise invalid_options(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            )
    elif not knows_watch_list:
        raise invalid_options(
            "sendInitialEvents", "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
        )
    elif options.match != "NotOlderThan":
        raise invalid_options(
            "resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        )


def _flag(text: str) -> bool:
    return text.lower() in ("1", "true", "t")


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    if text and not text.lstrip("-").isdecimal():
        raise bad_request(f'unable to parse {name}: strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text or 0)
