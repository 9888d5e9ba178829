"""A builder of a source, as a fixture."""

from support.built_sources import built

__all__ = ["built"]
