"""An object as the API server has it, and which of its fields are ours. Pure."""

from typing import Any, Final

from msgspec import Struct

from kgents_operator.desired.owner import DESIRED, MANAGER, Owner, digest

Json = dict[str, Any]

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
Mark = tuple[str, str]
"""The digest of what was applied last, and that of the fields which are ours."""


class Live(Struct, frozen=True):
    """One object."""

    content: Json
    """Without its managedFields."""
    fields: str
    """The digest of the fields that we own: another one means that somebody took or removed one of them."""

    @property
    def desired(self) -> str:
        """The digest of what was applied last."""
        return str((self.content["metadata"].get("annotations") or {}).get(DESIRED, ""))

    @property
    def mark(self) -> "Mark":
        """Another one than after our last apply: somebody else has changed it since."""
        return self.desired, self.fields

    @property
    def version(self) -> str:
        """As the API server counts them."""
        return str(self.content["metadata"].get("resourceVersion", ""))

    @property
    def uid(self) -> str:
        return str(self.content["metadata"].get("uid", ""))

    def is_of_earlier(self, owner: Owner) -> bool:
        """Whether it belongs to one of the same name that was deleted since, and goes with it."""
        controllers = [each for each in self.content["metadata"].get("ownerReferences") or () if each.get("controller")]
        return any(
            (each["kind"], each["name"]) == (owner.kind, owner.name) and each["uid"] != owner.uid
            for each in controllers
        )

    def is_of(self, owner: Owner) -> bool:
        """Whether it belongs to the resource: by its controller, or without one by our labels."""
        metadata = self.content["metadata"]
        controllers = [each["uid"] for each in metadata.get("ownerReferences") or () if each.get("controller")]
        if controllers:
            return controllers == [owner.uid]
        labels = metadata.get("labels") or {}
        return labels.get(MANAGED_BY) == MANAGER and labels.get(owner.label) == owner.name


def live(content: Json) -> Live:
    """From an answer of the API server."""
    metadata = dict(content["metadata"])
    entries = metadata.pop("managedFields", None) or ()
    ours = [
        each.get("fieldsV1")
        for each in entries
        if each.get("manager") == MANAGER and each.get("operation") == "Apply" and not each.get("subresource")
    ]
    return Live(content | {"metadata": metadata}, digest(ours) if ours else "")
