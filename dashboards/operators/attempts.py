"""How often one may try to log in: a bucket of tries for each name, and one for each address.

A try is taken before the password is looked at, so that many at once are no way around it, and
given back when it was right. A name that is no account has a bucket as well: the answer is the
same. Kept in memory; who is forgotten (the one that tried longest ago) begins anew.
"""

from __future__ import annotations

import math
from collections import OrderedDict

from wire.clock import Clock

NAMES_MAX = 20_000
"""Buckets of each sort; the one that was used longest ago is forgotten."""

_ROUNDING = 1e-9  # what floats lose: who has waited as long as was said may try
ADDRESS_SHARE = 4
"""So many names' tries an address has: many people may share one."""


class Buckets:
    """Tries by key: `tries` at once, then one each `try_s` wall seconds."""

    def __init__(self, clock: Clock, tries: int, try_s: float) -> None:
        self._clock, self._tries, self._try_s = clock, tries, try_s
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> int:
        """0 and one is taken, or in how many seconds there will be one."""
        now = self._clock.monotonic()
        left, at = self._left.pop(key, (float(self._tries), now))
        left = min(left + (now - at) / self._try_s, self._tries)
        wait_s = 0 if left >= 1 - _ROUNDING else max(1, math.ceil((1 - left) * self._try_s))
        self._left[key] = (left if wait_s else left - 1, now)
        if len(self._left) > NAMES_MAX:
            self._left.popitem(last=False)
        return wait_s

    def give_back(self, key: str) -> None:
        """It was no wrong try."""
        left, at = self._left.get(key, (float(self._tries), 0.0))
        self._left[key] = (min(left + 1, self._tries), at)

    def forget(self, key: str) -> None:
        """Begin anew."""
        self._left.pop(key, None)


class Attempts:
    """Both sorts of buckets."""

    def __init__(self, clock: Clock, tries: int, try_s: float) -> None:
        self._names = Buckets(clock, tries, try_s)
        self._addresses = Buckets(clock, tries * ADDRESS_SHARE, try_s / ADDRESS_SHARE)

    def take(self, name: str, address: str) -> int:
        """0 when the password may be looked at, or how many seconds to wait."""
        wait_s = self._addresses.take(address)
        if wait_s:
            return wait_s
        wait_s = self._names.take(name)
        if wait_s:
            self._addresses.give_back(address)
        return wait_s

    def succeeded(self, name: str, address: str) -> None:
        """It was the right password."""
        self._names.forget(name)
        self._addresses.give_back(address)
