"""Writes to the API server: creation, server-side apply, deletion with preconditions, status, events, the Lease."""

from kgents_operator.source.drawer import ConfigMapDrawer
from kgents_operator.source.lease import Leadership, Standby
from kgents_operator.source.writer import Writer

__all__ = ["ConfigMapDrawer", "Leadership", "Standby", "Writer"]
