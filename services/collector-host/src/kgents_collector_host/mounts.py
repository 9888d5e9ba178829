"""The mounts of a machine → its file systems, each once, at the mount point that stands for it. Pure."""

import re
from collections.abc import Iterable
from typing import Final

from kgents_collector_host.proc import Mount

MOST: Final = 32

_WITHOUT_SPACE: Final = frozenset(
    {
        "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
        "erofs", "fuse.lxcfs", "fuse.portal", "fuse.snapfuse", "fusectl", "hugetlbfs", "iso9660", "mqueue", "nsfs",
        "overlay", "proc", "pstore", "ramfs", "rpc_pipefs", "securityfs", "selinuxfs", "squashfs", "sysfs",
        "tracefs",
    }
)  # fmt: skip
"""Types that hold no files of their own, or are always full. To ask an `autofs` would mount what it waits for."""
_REMOTE: Final = frozenset(
    {"9p", "afs", "ceph", "cifs", "drvfs", "glusterfs", "nfs", "nfs4", "smb3", "smbfs", "virtiofs"}
)
_OF_OTHERS: Final = re.compile(r"/(?:run|dev|sys|proc|snap)/.*|/var/lib/(?:docker|containers|containerd|kubelet)/.+")
"""Where engines and the kubelet mount what belongs to containers."""


def may_hang(mount: Mount) -> bool:
    """Whether another machine, or a program, has to answer for it."""
    return mount.type in _REMOTE or mount.type.startswith("fuse")


def chosen(mounts: Iterable[Mount], *, with_remote: bool = False) -> list[Mount]:
    """One mount of each file system: a whole one before a part, then the shortest place; what may hang is last."""
    last = {each.point: each for each in mounts}  # what is mounted over another one hides it
    found: dict[str, Mount] = {}
    for each in last.values():
        if each.type in _WITHOUT_SPACE and not (each.type == "overlay" and each.point == "/"):
            continue
        if _OF_OTHERS.fullmatch(each.point) or (may_hang(each) and not with_remote):
            continue
        key = each.source if each.type == "btrfs" else each.device
        found[key] = min(each, found.get(key, each), key=_rank)
    return sorted(found.values(), key=lambda each: (may_hang(each), _rank(each)))[:MOST]


def _rank(mount: Mount) -> tuple[bool, int, str]:
    return mount.root != "/", len(mount.point), mount.point
