"""`python -S space_process.py`: questions on standard input, a line each → what may hang, a line each.

`space <mount point>` is what `statvfs` says, `heat <root>` the temperature of the hottest sensor. A process of its own,
since the call waits for as long as the server of a dead mount does not answer, a disk that sleeps is woken for its
temperature, and a process that waits so cannot be killed. It imports nothing but the standard library, and is started
with `-S`, so it begins at once.
"""

import os
import sys


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        question, _, place = line.strip().partition(" ")
        point = bytes.fromhex(place)
        if question == "heat":
            print(max(temperatures(os.fsdecode(point)), default="none"), flush=True)  # noqa: T201 - the answer
            continue
        try:
            found = os.statvfs(point)
        except OSError as error:
            print("error", error.errno, flush=True)  # noqa: T201 - the answer
            continue
        unit = found.f_frsize or found.f_bsize
        used, available = found.f_blocks - found.f_bfree, found.f_bavail
        print(used * unit, available * unit, found.f_files, found.f_ffree, flush=True)  # noqa: T201 - the answer


def temperatures(root: str) -> "list[int]":
    """Of each sensor, in thousandths of a degree Celsius. One that cannot be read, or says 0, says nothing."""
    found = []
    for name in _names(f"{root}/sys/class/hwmon"):
        for sensor in _names(f"{root}/sys/class/hwmon/{name}"):
            if sensor.startswith("temp") and sensor.endswith("_input"):
                try:
                    with open(f"{root}/sys/class/hwmon/{name}/{sensor}", encoding="ascii") as file:
                        found.append(int(file.read()))
                except (OSError, ValueError):
                    continue
    return [each for each in found if each]


def _names(directory: str) -> "list[str]":
    try:
        return os.listdir(directory)
    except OSError:
        return []


if __name__ == "__main__":
    main()
