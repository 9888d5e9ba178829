"""What may explain a finding, and what a finding may explain → how alerts are grouped into incidents.

Each check of health-scorer is declared here, since the services that judge and those that group share no code. A check
that is not declared, of a newer scorer or of your own, is explained by nothing and explains nothing.
"""

from typing import Final, Literal

from msgspec import Struct

Relation = Literal["host", "dependency", "backend", "storage", "source"]
"""How an entity is related to what may explain its finding:

- `host`: it runs there (a pod on its node, a database in its container).
- `dependency`: it needs the other one to work (`depends`, requests, messages).
- `backend`: it routes to the other one (a Service to its pods).
- `storage`: a volume that it mounts.
- `source`: the source that reports it.
"""

HOST: Final[Relation] = "host"
DEPENDENCY: Final[Relation] = "dependency"
BACKEND: Final[Relation] = "backend"
STORAGE: Final[Relation] = "storage"
SOURCE: Final[Relation] = "source"


class Explanation(Struct, frozen=True):
    """One check, as far as grouping depends on it."""

    check: str
    explained_by: tuple[Relation, ...] = ()
    """Related entities whose finding may be its cause, the likeliest first. What concerns the same entity, its
    containers and pods, is one incident in any case."""
    breaks: bool = False
    """Whether entities that need this one may fail because of it."""
    breaks_if_critical: bool = False
    """Whether they may once it is critical: below that it is near a limit, and serves."""


NONE: Final = Explanation("")
"""Of a check that is not declared."""

_BREAKS: Final = """
    KG-001 KG-002 KG-004 KG-010 KG-020 KG-021 KG-040 KG-041 KG-043 KG-044 KG-045 KG-046 KG-047 KG-048 KG-049 KG-103
    KG-205 KG-300 KG-303 KG-316 KG-319 KG-320 KG-322 KG-323 KG-324 KG-330 KG-332 KG-334 KG-335 KG-339 KG-340 KG-341
    KG-343 KG-344 KG-345 KG-346 KG-351 KG-352 KG-360 KG-361 KG-365 KG-367 KG-368 KG-369 KG-370 KG-373 KG-380 KG-381
    KG-391 KG-601 KG-602 KG-603 KG-604 KG-605 KG-611 KG-612
    KG-401 KG-402 KG-413 KG-414 KG-631
"""
"""It does not serve, or not all that it is asked."""

_BREAKS_IF_CRITICAL: Final = "KG-301 KG-306 KG-321 KG-331 KG-333 KG-372"
"""It is near a limit, beyond which it refuses: connections, memory, transaction ids, files."""

_EXPLAINED: Final[dict[tuple[Relation, ...], str]] = {
    (HOST, STORAGE, DEPENDENCY): "KG-001 KG-041 KG-043",
    (HOST, DEPENDENCY): """
        KG-020 KG-022 KG-052 KG-221 KG-222 KG-223 KG-308 KG-316 KG-324 KG-335 KG-336 KG-341 KG-368 KG-631""",
    (HOST, STORAGE, BACKEND): "KG-004",
    (HOST, DEPENDENCY, STORAGE): "KG-307",
    (BACKEND, HOST, DEPENDENCY): "KG-103",
    (BACKEND,): "KG-040",
    (SOURCE, HOST): "KG-003 KG-005 KG-006 KG-007",
    (DEPENDENCY,): "KG-320 KG-348 KG-392 KG-393 KG-411 KG-412 KG-413 KG-414",
    (DEPENDENCY, HOST): "KG-401 KG-402",
    (STORAGE,): "KG-311 KG-318 KG-337 KG-338 KG-346 KG-363 KG-381 KG-386",
    (HOST,): """
        KG-050 KG-205 KG-231 KG-300 KG-322 KG-330 KG-339 KG-340 KG-347 KG-360 KG-364 KG-365 KG-366 KG-367 KG-369
        KG-370 KG-378""",
    (): """
        KG-002 KG-010 KG-011 KG-021 KG-023 KG-042 KG-044 KG-045 KG-046 KG-047 KG-048 KG-049 KG-051 KG-053 KG-054 KG-055
        KG-056 KG-057 KG-101 KG-102 KG-201 KG-202 KG-203 KG-204 KG-211 KG-212 KG-301 KG-302 KG-303 KG-304 KG-305 KG-306
        KG-309 KG-310 KG-312 KG-313 KG-314 KG-315 KG-317 KG-319 KG-321 KG-323 KG-325 KG-326 KG-327 KG-328 KG-331 KG-332
        KG-333 KG-334 KG-342 KG-343 KG-344 KG-345 KG-349 KG-350 KG-351 KG-352 KG-353 KG-354 KG-355 KG-356 KG-357 KG-358
        KG-359 KG-361 KG-362 KG-371 KG-372 KG-373 KG-377 KG-379 KG-380 KG-382 KG-383 KG-384 KG-385 KG-387 KG-388 KG-389
        KG-390 KG-391 KG-058 KG-111 KG-601 KG-602 KG-603 KG-604 KG-605 KG-606 KG-607 KG-611 KG-612 KG-613
        KG-621 KG-206 KG-415 KG-416 KG-059""",
}
"""Relations → the checks that entities so related may explain. The last: each is its own cause (its own memory, image,
configuration or traffic), and a slow database does not explain it."""

BREAKING: Final = frozenset(_BREAKS.split())
"""Checks whose finding others may suffer from."""
BREAKING_IF_CRITICAL: Final = frozenset(_BREAKS_IF_CRITICAL.split())
"""Checks whose finding others may suffer from once it is critical."""

EXPLANATIONS: Final = {
    check: Explanation(check, relations, check in BREAKING, check in BREAKING_IF_CRITICAL)
    for relations, checks in _EXPLAINED.items()
    for check in checks.split()
}
"""Check → what may explain it."""


def explanation_of(check: str) -> Explanation:
    """The declaration of a check; of one that is not declared, that nothing explains it."""
    return EXPLANATIONS.get(check, NONE)
