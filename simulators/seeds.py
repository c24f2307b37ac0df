"""Randomness of the city: one seed, a generator of its own for each thing that needs one.

A child is found by name (device, day, purpose), never by order, so that adding a device changes
nothing for the others and asking twice gives the same answer.
"""

from __future__ import annotations

import functools
import zlib

import numpy as np
import numpy.typing as npt

_TABLE_BITS = 16
_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 / golden ratio: Knuth's multiplicative hash
_WORD = 2**64 - 1


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """The generator that these names stand for in the city of that seed."""
    words = [zlib.crc32(str(name).encode()) for name in names]
    return np.random.default_rng([seed, *words])


class Jitter:
    """Noise as a function of time: the same device at the same moment errs the same way.

    One table of draws for the city, looked up by a hash of name and time, so that a measurement
    doesn't depend on who asked before.
    """

    def __init__(self, seed: int, *names: str | int) -> None:
        self._normal, self._uniform = _draws(seed)
        self._name = zlib.crc32("/".join(str(name) for name in names).encode())

    def normal(self, time_ms: int) -> float:
        """A draw of mean 0 and deviation 1."""
        return float(self._normal[self._slot(time_ms, 0)])

    def uniform(self, time_ms: int, salt: int = 0) -> float:
        """A draw from 0 to 1, another one for each salt."""
        return float(self._uniform[self._slot(time_ms, salt + 1)])

    def _slot(self, time_ms: int, salt: int) -> int:
        mixed = (time_ms ^ (self._name << 20) ^ (salt << 56)) * _GOLDEN & _WORD
        return ((mixed ^ (mixed >> 29)) * _GOLDEN & _WORD) >> (64 - _TABLE_BITS)


@functools.cache
def _draws(seed: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    draws = generator(seed, "jitter")
    return draws.standard_normal(2**_TABLE_BITS), draws.random(2**_TABLE_BITS)
