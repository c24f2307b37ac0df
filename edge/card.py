"""How much of its card's life is used, where the card tells.

In: a path on it. Out: a share, 1 for all of it. Only eMMC tells (JEDEC eMMC 5.1, EXT_CSD 268 and
269, which Linux shows as `life_time`: two estimates in tenths, 0x0B for over); an SD card doesn't.
"""

from __future__ import annotations

import os
from pathlib import Path

_TENTHS_OVER = 11


def card_life_used(outbox: Path, root: Path = Path("/")) -> float | None:
    """The greater of an eMMC's two estimates, 0.1 for each step begun; None when there is none."""
    folder = next((one for one in outbox.parents if one.exists()), Path("/"))
    number = folder.stat().st_dev
    device = root / "sys/dev/block" / f"{os.major(number)}:{os.minor(number)}"
    for at in (device, device.resolve().parent):  # a partition's disk is its parent
        try:
            steps = [int(step, 16) for step in (at / "device/life_time").read_text().split()]
        except (OSError, ValueError):
            continue
        if steps and 0 < max(steps) <= _TENTHS_OVER:
            return max(steps) / 10 if max(steps) < _TENTHS_OVER else 1.0
    return None
