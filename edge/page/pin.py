"""The PIN's file: a salted, slow hash, readable by root and the agent only.

In: digits. Out: a file that says nothing of them but whether others are the same. A PIN of six
digits doesn't withstand someone who has the file: its mode is checked, and online tries are counted
(`entry.py`). scrypt with n = 2^12, r = 8 takes 4 MB and about 50 ms on a Pi 3: the agent's memory
counts too.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from itertools import pairwise
from pathlib import Path

import msgspec

from edge.whole_file import write_whole
from wire.small_file import read_secret

DIGITS_MIN, DIGITS_MAX = 6, 12
FILE_BYTES_MAX = 1024
_N, _R, _P, _SIZE = 2**12, 8, 1, 32


class PinUnusable(Exception):
    """The file isn't one, or is missing; the message has the remedy."""


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file holds: salt and scrypt's result, hex."""

    salt: str
    scrypt: str

    @classmethod
    def of(cls, digits: str) -> Pin:
        """A PIN under a fresh salt."""
        salt = secrets.token_bytes(16)
        return cls(salt.hex(), _hashed(digits, salt).hex())

    def matches(self, digits: str) -> bool:
        """Whether it is this one, in a time that doesn't tell where it differs."""
        if not is_pin(digits):
            digits = ""  # as slow as a wrong one
        there = bytes.fromhex(self.scrypt)
        return hmac.compare_digest(_hashed(digits, bytes.fromhex(self.salt)), there)


def is_pin(digits: str) -> bool:
    """Whether it has the form of one."""
    return DIGITS_MIN <= len(digits) <= DIGITS_MAX and digits.isascii() and digits.isdecimal()


def is_guessable(digits: str) -> bool:
    """Whether it is among the first that anybody tries: one digit, or a run up or down."""
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(digits)}
    return len(steps) == 1 and steps <= {0, 1, 9}


def draw() -> str:
    """A PIN of six digits that nobody chose."""
    while True:
        digits = f"{secrets.randbelow(10**DIGITS_MIN):0{DIGITS_MIN}}"
        if not is_guessable(digits):
            return digits


def write(file: Path, digits: str) -> None:
    """Put the PIN into the file, whole or not at all, mode 0640, of its folder's group: the agent
    isn't root, and must read it.

    Raises:
        OSError: the folder can't be written.
    """
    write_whole(file, msgspec.json.encode(Pin.of(digits)), 0o640, file.parent.stat().st_gid)


def read(file: Path) -> Pin:
    """The PIN of that file.

    Raises:
        PinUnusable: missing, or not such a file.
        OpenToOthers: others can read it, or write.
    """
    remedy = f"Run: gampong edge pin {file}"
    try:
        data = read_secret(str(file), "page.pin_file", FILE_BYTES_MAX)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise PinUnusable(f"{file}: {why}. {remedy}") from error
    try:
        pin = msgspec.json.decode(data, type=Pin)
        if len(bytes.fromhex(pin.scrypt)) != _SIZE or not bytes.fromhex(pin.salt):
            raise ValueError("no hash")
    except (msgspec.DecodeError, ValueError) as error:
        raise PinUnusable(f"{file}: not a PIN's file. {remedy}") from error
    return pin


def _hashed(digits: str, salt: bytes) -> bytes:
    return hashlib.scrypt(digits.encode(), salt=salt, n=_N, r=_R, p=_P, dklen=_SIZE)
