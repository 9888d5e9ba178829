"""A server with the pipeline's streams for each test, and a bus on it."""

from support.fixtures import bus, server

__all__ = ["bus", "server"]
