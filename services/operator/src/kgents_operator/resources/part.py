"""The base of every part of a custom resource, and the types that its fields share. Pure."""

from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct

POSITIVE: Final = "isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))"


class Rule(Struct, frozen=True):
    """A rule of the API server's, in CEL, and what it answers where the rule is broken."""

    rule: str
    message: str

    def document(self) -> dict[str, str]:
        """As it stands in a schema."""
        return {"rule": self.rule, "message": self.message}


class Part(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    """One object within a custom resource. Fields that it does not know are pruned by the API server."""

    rules: ClassVar[tuple[Rule, ...]] = ()
    """What must hold between its fields."""


Quantity = Annotated[
    int | str,
    Meta(
        extra_json_schema={
            "x-kubernetes-int-or-string": True,
            "maxLength": 20,
            "x-kubernetes-validations": [
                Rule(POSITIVE, "expected a quantity above 0, such as 500m, 1 or 512Mi").document()
            ],
        }
    ),
]
"""As Kubernetes writes amounts: `500m`, `1`, `512Mi`."""

Label = Annotated[str, Meta(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
"""The name of another object."""


class Condition(Part, frozen=True):
    """One answer on the state of a resource, as `kubectl wait --for=condition=…` reads it."""

    type: Annotated[str, Meta(max_length=63)]
    status: Annotated[str, Meta(max_length=7, description="True, False or Unknown.")]
    reason: Annotated[str, Meta(max_length=63)]
    message: Annotated[str, Meta(max_length=1024)]
    last_transition_time: Annotated[
        str, Meta(description="When the status changed last.", extra_json_schema={"format": "date-time"})
    ]
    observed_generation: Annotated[int, Meta(description="The generation of the resource that this is about.")] = 0


Conditions = Annotated[
    list[Condition],
    Meta(
        max_length=16,
        extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]
"""One of each type."""


RULES: Final = (
    Rule(
        "size(self.metadata.name) <= 40 && !self.metadata.name.contains('.')",
        "the name becomes part of others: at most 40 characters, without dots",
    ),
)
"""Of the whole resource."""
