from support.fixtures import bus, server  # noqa: F401 - fixtures
