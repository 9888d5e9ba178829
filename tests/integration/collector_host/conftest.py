"""A NATS server with the pipeline's streams."""

from support.fixtures import bus, server

__all__ = ["bus", "server"]
