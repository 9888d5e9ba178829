"""What collectors state of any entity and OpenTelemetry has no name for."""

from typing import Final

from kgents_shared.contract.vocabulary.attributes.attribute import Attributes

_OURS: Final = Attributes()
_attribute = _OURS.attribute

OVERFLOW: Final = _attribute(
    "kgents.overflow", "This entity stands for those of its kind that exceed a limit and are not shown."
)
LEFT_OUT: Final = _attribute(
    "kgents.connections.left_out",
    "How many names of peers lead nowhere because more than 256 entities claim each of them. Set by topology-builder.",
)
LEFT_OUT_NAMES: Final = _attribute("kgents.connections.left_out.names", "The first eight of these names.")
UNRESOLVED: Final = _attribute(
    "kgents.connections.unresolved",
    "How many other ends of an application's calls no entity claims. Set by topology-builder.",
)
UNRESOLVED_NAMES: Final = _attribute(
    "kgents.connections.unresolved.names",
    "The first eight: `from 10.0.0.7`, `to api.example.com:443`; `public addresses`, `local addresses` and `other` are "
    "many.",
)
REPLAYED_FROM: Final = _attribute("kgents.replayed_from", "The recording that it comes from: it is not observed now.")
OS_KERNEL_VERSION: Final = _attribute("kgents.os.kernel.version", "Version of the kernel.")

ATTRIBUTES: Final = tuple(_OURS.declared)
