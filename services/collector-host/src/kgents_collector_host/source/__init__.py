"""The machine, read: files of the kernel, sockets by netlink, file systems through a process of their own → Sample."""

from kgents_collector_host.source.machine import Source

__all__ = ["Source"]
