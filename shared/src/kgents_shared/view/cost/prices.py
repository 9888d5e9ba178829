"""A price list: what a vCPU, a GiB of memory, a node or a disk costs for an hour. Pure."""

from typing import Annotated, Final

import msgspec

GIB: Final = 1024**3
HOURS_A_MONTH: Final = 730.0

Price = Annotated[float, msgspec.Meta(ge=0)]


class PriceList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prices of an hour, in one currency."""

    name: str = ""
    """Which list it is, such as its date: each figure names it."""
    currency: str = ""
    vcpu_hour: Price | None = None
    gib_hour: Price | None = None
    """Of memory."""
    nodes: dict[str, Price] = {}
    """Type of a node (`host.type`, such as `m7i.xlarge`) → its price."""
    disks: dict[str, Price] = {}
    """Storage class → the price of a GiB; `*`: of any other class."""


class Rates(msgspec.Struct, frozen=True):
    """What a vCPU and a GiB of one node cost for an hour. None: no price says so."""

    vcpu: float | None
    gib: float | None
    price: str
    """Which price that is, such as `node m7i.xlarge`; empty: none."""

    def of(self, cores: float | None, gib: float | None) -> float | None:
        """The cost of so much; None: an amount or a price is not known."""
        if cores is None or gib is None or self.vcpu is None or self.gib is None:
            return None
        return cores * self.vcpu + gib * self.gib


def rates(prices: PriceList, node_type: str, cores: float | None, gib: float | None) -> Rates:
    """What a node's vCPUs and memory cost, so that all of them together cost what the node does.

    The price of a node is divided as the prices of a vCPU and a GiB would divide it; without these, in halves.
    """
    price = prices.nodes.get(node_type)
    if price is None or not cores or not gib:
        known = prices.vcpu_hour is not None and prices.gib_hour is not None
        return Rates(prices.vcpu_hour, prices.gib_hour, "vcpu_hour and gib_hour" if known else "")
    vcpu_share = 0.5
    if prices.vcpu_hour is not None and prices.gib_hour is not None:
        parts = cores * prices.vcpu_hour, gib * prices.gib_hour
        vcpu_share = parts[0] / sum(parts) if sum(parts) else vcpu_share
    return Rates(price * vcpu_share / cores, price * (1 - vcpu_share) / gib, f"node {node_type}")


def disk_price(prices: PriceList, storage_class: str) -> tuple[float | None, str]:
    """What a GiB of a disk costs for an hour, and which price that is; None: no price says so."""
    for name in (storage_class, "*"):
        if name in prices.disks:
            return prices.disks[name], f"disk {name}"
    return None, ""
