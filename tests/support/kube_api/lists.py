"""Lists: which state is shown, and page by page without a change in between."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from support.kube_api.options import Options, PageToken
from support.kube_api.resources import Resource
from support.kube_api.selectors import Selects, everything
from support.kube_api.status import ApiError, page_expired, too_large
from support.kube_api.store import Record, Store
from support.kube_api.views import View


@dataclass(frozen=True)
class Page:
    """A part of a list at one revision."""

    records: list[Record]
    revision: int
    next_page: str
    remaining: int | None

    def encode(self, view: View) -> Iterator[bytes]:
        return view.page(self.records, self.revision, self.next_page, self.remaining)


def read_page(store: Store, resource: Resource, namespace: str, options: Options, lag: Random | None) -> Page:
    """The page that a client asks for; with `lag`, as old as a lagging server may show it.

    Raises:
        ApiError: 400, 410 or 504.
    """
    revision, start = _beginning(store, resource, options, lag)
    records = store.collection(resource).at(resource, revision)
    first, end = _range(resource, records, namespace, start)
    limit = 0 if options.version == "0" and not options.continue_ else options.limit
    selects = options.selects(resource, "")
    if not limit:
        return Page([record for record in records[first:end] if selects(record)], revision, "", None)
    last, found = _take(records, first, end, limit, selects)
    if last == end:
        return Page(found, revision, "", None)
    key = resource.key(found[-1].namespace, found[-1].name)
    is_whole = not options.labels and not options.fields
    return Page(found, revision, PageToken(revision, key + "\0").encode(), end - last if is_whole else None)


def shown_revision(store: Store, resource: Resource, options: Options, lag: Random | None) -> int:
    """The state that a list or a WatchList shows: the current one, or an older one that the client allows.

    Raises:
        ApiError: 504, when the client knows more than this server.
    """
    if options.revision > store.revision:
        raise too_large(options.revision, store.revision)
    if lag is None or options.version == "":
        return store.revision
    oldest = max(store.collection(resource).compacted, options.revision)
    return lag.randint(min(oldest, store.revision), store.revision)


def _beginning(store: Store, resource: Resource, options: Options, lag: Random | None) -> tuple[int, str]:
    if options.continue_:
        token = PageToken.decode(options.continue_)
        if token.rv < 0:
            return store.revision, token.start
        if token.rv < store.collection(resource).compacted:
            raise page_expired(PageToken(-1, token.start).encode())
        return token.rv, token.start
    is_exact = options.match == "Exact" or (options.limit and not options.match and options.version not in ("", "0"))
    if is_exact:
        if options.revision > store.revision:
            raise too_large(options.revision, store.revision)
        if options.revision < store.collection(resource).compacted:
            message = f"The resourceVersion for the provided list is too old: {options.revision}"
            raise ApiError(410, "Expired", message)
        return options.revision, ""
    return shown_revision(store, resource, options, lag), ""


def _range(resource: Resource, records: list[Record], namespace: str, start: str) -> tuple[int, int]:
    def key(record: Record) -> str:
        return resource.key(record.namespace, record.name)

    first, end = 0, len(records)
    if namespace:
        # "0" follows "/": the first key of the next namespace is not before it.
        first, end = bisect_left(records, f"{namespace}/", key=key), bisect_left(records, f"{namespace}0", key=key)
    return max(first, bisect_left(records, start, key=key)), end


def _take(records: list[Record], first: int, end: int, limit: int, selects: Selects) -> tuple[int, list[Record]]:
    """Up to `limit` selected records, and the index of the first that was not read."""
    if selects is everything:
        last = min(first + limit, end)
        return last, records[first:last]
    found: list[Record] = []
    for index in range(first, end):
        if selects(records[index]):
            if len(found) == limit:
                return index, found
            found.append(records[index])
    return end, found
