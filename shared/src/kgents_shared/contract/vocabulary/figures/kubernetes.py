"""What collector-k8s measures beside CPU and memory: use against requests, limits and what nodes allow."""

from typing import Final

from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures.figure import CUSTOM, Field

_FIELD: Final = Field("k8s")

_node = _FIELD.section(CUSTOM, kinds.NODE).figure
CPU_ALLOCATABLE_RATIO: Final = _node("cpu_allocatable_ratio", "1", "CPU used, of what pods may use.")
MEMORY_ALLOCATABLE_RATIO: Final = _node("memory_allocatable_ratio", "1", "Memory used, of what pods may use.")

_pod = _FIELD.section(CUSTOM, kinds.POD, kinds.CONTAINER).figure
CPU_REQUEST_RATIO: Final = _pod("cpu_request_ratio", "1", "CPU used, of what is requested.")
CPU_LIMIT_RATIO: Final = _pod("cpu_limit_ratio", "1", "CPU used, of its limit.")
MEMORY_REQUEST_RATIO: Final = _pod("memory_request_ratio", "1", "Memory used, of what is requested.")
MEMORY_LIMIT_RATIO: Final = _pod("memory_limit_ratio", "1", "Memory used, of its limit.")

FIGURES: Final = tuple(_FIELD.figures)
