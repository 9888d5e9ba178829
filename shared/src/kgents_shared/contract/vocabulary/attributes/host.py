"""What collectors state of machines and their file systems and OpenTelemetry has no name for."""

from typing import Final

from kgents_shared.contract.vocabulary.attributes.attribute import Attributes

_OURS: Final = Attributes()
_attribute = _OURS.attribute

CLOCK_SYNCHRONIZED: Final = _attribute(
    "kgents.host.clock_synchronized",
    "Whether a program keeps the machine's clock right, as `timedatectl` says; null: the kernel does not say it to us.",
)
CLOCK_UNSYNCHRONIZED_SINCE: Final = _attribute(
    "kgents.host.clock_unsynchronized_since", "Since when none does, as far as that was seen."
)
CPUS: Final = _attribute("kgents.host.cpus", "Processors of the machine.")
DEVICE: Final = _attribute("kgents.filesystem.device", "What is mounted: `/dev/vda1`, `server:/export`.")
FILE_SYSTEM_TYPE: Final = _attribute("kgents.filesystem.type", "`ext4`, `xfs`, `nfs4`, …")
MEMORY_BYTES: Final = _attribute("kgents.host.memory_bytes", "Memory of the machine.")
OOM_KILLED_AT: Final = _attribute(
    "kgents.host.oom_killed_at", "When the kernel last killed a process for memory, in the last ten minutes."
)
READ_ONLY: Final = _attribute("kgents.filesystem.read_only", "Whether it is mounted so that it cannot be written.")
UNIT_RESTARTED_AT: Final = _attribute(
    "kgents.unit.restarted_at", "When systemd last restarted it by itself, in the last ten minutes."
)

ATTRIBUTES: Final = tuple(_OURS.declared)
