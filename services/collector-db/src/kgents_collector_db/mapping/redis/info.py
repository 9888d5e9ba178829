"""The text of INFO and CLUSTER INFO → fields by name. Any field may be missing, depending on the version."""

import math
from collections.abc import Mapping
from typing import Self

from msgspec import Struct


class Info(Struct, frozen=True):
    """`name:value` lines. A field that is missing or unreadable is None, never zero."""

    fields: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the lines; headings (`# Memory`) and lines without a colon are skipped."""
        pairs = (line.partition(":") for line in text.split("\n") if not line.startswith("#"))
        return cls({name: value.strip() for name, colon, value in pairs if colon})

    def text(self, name: str) -> str:
        """The field's text; empty when it is missing."""
        return self.fields.get(name, "")

    def number(self, name: str) -> float | None:
        """The field as a finite number."""
        return _number(self.fields.get(name))

    def count(self, name: str) -> int | None:
        """The field as a whole number."""
        value = self.number(name)
        return None if value is None else int(value)

    def flag(self, name: str) -> bool:
        """Whether the field is `1`."""
        return self.fields.get(name) == "1"

    def group(self, prefix: str) -> dict[str, dict[str, str]]:
        """Fields with subfields (`slave0:ip=…,port=…`): rest of the name after the prefix → subfield → value."""
        return {
            name.removeprefix(prefix): dict(_pair(part) for part in value.split(","))
            for name, value in self.fields.items()
            if name.startswith(prefix) and "=" in value
        }

    @property
    def run_id(self) -> str:
        """Identifies the process: changes at every start, not at a role change."""
        return self.text("run_id")

    @property
    def role(self) -> str:
        """`master`, `replica` or `sentinel`; empty when the server does not report it."""
        if self.mode == "sentinel":
            return "sentinel"
        role = self.text("role")
        return "replica" if role == "slave" else role

    @property
    def mode(self) -> str:
        """`standalone`, `cluster` or `sentinel`."""
        return self.text("redis_mode") or self.text("server_mode")

    @property
    def system(self) -> str:
        """`redis` or `valkey`: OpenTelemetry's `db.system.name`."""
        return "valkey" if self.text("valkey_version") or self.text("server_name") == "valkey" else "redis"

    @property
    def version(self) -> str:
        """Version of the server itself; Valkey also reports the Redis version that it is compatible with."""
        return self.text("valkey_version") or self.text("redis_version")


def figure(group: Mapping[str, str], name: str) -> float | None:
    """A subfield as a finite number."""
    return _number(group.get(name))


def _pair(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return name, value


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
