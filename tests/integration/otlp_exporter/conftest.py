from support.fixtures import bus, server

__all__ = ["bus", "server"]
