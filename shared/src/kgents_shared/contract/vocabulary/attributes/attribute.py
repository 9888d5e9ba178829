"""How an attribute is declared: name and meaning → an `AttributeName` to refer to it by.

A name is OpenTelemetry's where its registry has one, of an attribute or of a metric (a Deployment's
`k8s.deployment.desired_pods` is state to us). What the registry has no name for begins with `kgents.`.
"""

from typing import NewType

from msgspec import Struct

AttributeName = NewType("AttributeName", str)


class Attribute(Struct, frozen=True):
    """One attribute, or a family of them."""

    name: str
    """`kgents.nats.discard`; of a family with its variable parts in braces."""
    meaning: str
    """Empty for OpenTelemetry's: its registry says it."""


class Family(Struct, frozen=True):
    """Attributes that differ in a part of their name alone."""

    pattern: str

    def named(self, **parts: str) -> AttributeName:
        """The attribute of these parts."""
        return AttributeName(self.pattern.format(**parts))


class Attributes:
    """The attributes of one field, in the order in which they are declared."""

    def __init__(self) -> None:
        self.declared: list[Attribute] = []

    def attribute(self, name: str, meaning: str = "") -> AttributeName:
        """Declare one attribute."""
        self.declared.append(Attribute(name, meaning))
        return AttributeName(name)

    def family(self, pattern: str, meaning: str = "") -> Family:
        """Declare a family of attributes."""
        self.attribute(pattern, meaning)
        return Family(pattern)
