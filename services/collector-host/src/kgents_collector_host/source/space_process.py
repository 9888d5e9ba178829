"""`python -S space_process.py`: mount points on standard input → what `statvfs` says of each, a line each.

A process of its own, since the call waits for as long as the server of a dead mount does not answer, and a process that
waits so cannot be killed. It imports nothing but the standard library, and is started with `-S`, so it begins at once.
"""

import os
import sys


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        point = bytes.fromhex(line.strip())
        try:
            found = os.statvfs(point)
        except OSError as error:
            print("error", error.errno, flush=True)  # noqa: T201 - the answer
            continue
        unit = found.f_frsize or found.f_bsize
        used, available = found.f_blocks - found.f_bfree, found.f_bavail
        print(used * unit, available * unit, found.f_files, found.f_ffree, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
