from support.fixtures import bus, server  # fixtures of every test here

__all__ = ["bus", "server"]
