"""Writes to the API server: creation, server-side apply, deletion with preconditions, status, events, the Lease."""

from kgents_operator.source.lease import Leadership
from kgents_operator.source.writer import Writer

__all__ = ["Leadership", "Writer"]
