"""The part of an object that must be readable of any: its names and its version. Pure."""

from msgspec import Struct


class Head(Struct, rename="camel", frozen=True):
    """Of `metadata`. A type of objects whose `metadata` builds on it is decoded in one pass."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
