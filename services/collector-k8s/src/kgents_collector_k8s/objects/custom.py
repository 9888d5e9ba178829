"""Custom resources: metadata as everywhere, spec and status as they come: only a rule knows their fields."""

from typing import Any

from kgents_collector_k8s.objects.metadata import Lean, Metadata


class CustomObject(Lean, frozen=True):
    """An object of a custom resource. What is neither metadata, spec nor status is not read."""

    metadata: Metadata
    spec: dict[str, Any] | None = None
    status: dict[str, Any] | None = None
