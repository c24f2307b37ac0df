"""Serial ports of this machine, by names that stay.

In: the file tree. Out: paths, those by id first: they name the adapter, whatever number the kernel
gives it; a Pi's own UART has no id and keeps its name.
"""

from __future__ import annotations

from pathlib import Path

BY_ID = "dev/serial/by-id"
OWN = ("ttyAMA*", "ttyS*", "ttyUSB*", "ttyACM*", "serial0")
_NO_UART = "0"  # what the kernel says of a ttyS that has no chip behind it


def serial_ports(root: Path = Path("/")) -> list[str]:
    """Every port once, under its best name."""
    named = {path.resolve(): path for path in sorted((root / BY_ID).glob("*"))}
    for pattern in OWN:
        for path in sorted((root / "dev").glob(pattern)):
            if path.resolve() not in named and _is_there(path, root):
                named[path.resolve()] = path
    return [f"/{path.relative_to(root)}" for path in named.values()]


def _is_there(path: Path, root: Path) -> bool:
    """PCs have 32 ttyS of which most are nothing (`type` 0 in sysfs)."""
    try:
        kind = (root / "sys/class/tty" / path.name / "type").read_text().strip()
    except OSError:
        return True
    return kind != _NO_UART
