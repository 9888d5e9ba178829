"""The headers of every answer, also of those that no handler of ours makes: what a browser may do with it. Pure."""

from typing import Final

CONTENT: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self' data:",
    "worker-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
"""No code and no style that stands in a page itself, nothing of another site, in no frame."""

HEADERS: Final = (
    ("content-security-policy", "; ".join(f"{name} {value}" for name, value in CONTENT.items())),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
)
"""There is none that lets pages of other sites read an answer (CORS)."""
