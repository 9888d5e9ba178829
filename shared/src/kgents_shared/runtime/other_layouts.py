"""Recognises a configuration in another layout: the loader refuses it, `kgents config import` reads it. Pure."""

from typing import Final

FOREIGN_SECTIONS: Final = (
    *("collectors", "visualization", "health", "alerts"),
    *("database", "collection", "listener", "buffer"),
)
"""Sections at the top of other layouts; none of ours has such a name."""
