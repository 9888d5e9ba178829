"""What any entity may use, from any source; and the figures that a program of your own may send to be scored."""

from typing import Final

from kgents_shared.contract.vocabulary.figures.figure import ANY, CUSTOM, Field

_PULSE: Final = Field("k8s", "docker", "nats", "host", "otel", ANY)
_field = _PULSE.section("").figure
CPU_PERCENT: Final = _field("cpu_percent", "%", "CPU used, of one core: 150 is one and a half cores.")
MEMORY_BYTES: Final = _field("memory_bytes", "By", "Memory used.")
MEMORY_LIMIT_BYTES: Final = _field("memory_limit_bytes", "By", "Memory that may be used.")
NETWORK_RX_BYTES: Final = _field("network_rx_bytes", "By/s", "Bytes received a second, since the last pulse.")
NETWORK_TX_BYTES: Final = _field("network_tx_bytes", "By/s", "Bytes sent a second, since the last pulse.")

_limit = _PULSE.section(CUSTOM).figure
CPU_LIMIT_PERCENT: Final = _limit("cpu_limit_percent", "%", "CPU that may be used, of one core.")
MEMORY_CACHE_BYTES: Final = _limit(
    "memory_cache_bytes", "By", "Of the memory used: files that are cached and in use, which the kernel can still drop."
)

_LISTED: Final = Field("k8s", "nats", "host")
ENTITIES_LEFT_OUT: Final = _LISTED.section(CUSTOM).figure(
    "entities_left_out", "{entity}", "Entities of this kind that exceed its limit and are not shown."
)

_YOURS: Final = Field("otel", ANY)
_yours = _YOURS.section(CUSTOM).figure
REQUESTS_PER_SEC: Final = _yours("requests_per_sec", "{request}/s", "Requests answered.")
ERROR_RATE: Final = _yours("error_rate", "1", "Requests answered with an error, as a share of all.")

FIGURES: Final = (*_PULSE.figures, *_LISTED.figures, *_YOURS.figures)
