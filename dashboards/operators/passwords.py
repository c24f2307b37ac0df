"""Passwords as they are kept: scrypt (RFC 7914), salted, with its cost written beside the hash.

scrypt is in Python's own library (OpenSSL's), so there is nothing more to install and keep up to
date; it costs an attacker memory, as argon2 does. The cost below takes 32 MiB and about a quarter
of a second, one of the settings OWASP's cheat sheet calls equal. No IO and no clock.

    scrypt$15$8$3$<salt>$<hash>       log2(n), r, p, base64
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import unicodedata

LETTERS_MIN = 10
BYTES_MAX = 512
_LOG2_N, _R, _P = 15, 8, 3
_LOG2_N_MAX, _R_MAX, _P_MAX = 17, 8, 8
"""A hash that asks for more than this is refused: it was not written here."""

_SALT_BYTES, _HASH_BYTES = 16, 32


class PasswordError(Exception):
    """It can't be anybody's password; the text says why."""


def check_new(password: str, name: str) -> None:
    """Refuse what is easily guessed or too long to be reckoned with.

    Raises:
        PasswordError: says what to choose.
    """
    if len(password) < LETTERS_MIN:
        raise PasswordError(f"shorter than {LETTERS_MIN} letters: take three words")
    if len(password.encode("utf-8", "replace")) > BYTES_MAX:
        raise PasswordError(f"longer than {BYTES_MAX} bytes")
    if len(set(password)) < 4 or name in password.casefold():
        raise PasswordError("one letter again and again, or the name: take three words")


def hashed(password: str, salt: bytes) -> str:
    """The text that is kept. `salt` is 16 random bytes."""
    if len(salt) != _SALT_BYTES:
        raise ValueError(f"{len(salt)} bytes of salt, not {_SALT_BYTES}")
    key = _key(password, salt, _LOG2_N, _R, _P)
    cost = f"{_LOG2_N}${_R}${_P}"
    return f"scrypt${cost}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def matches(password: str, kept: str) -> bool:
    """Whether this is the password; False too for a text that `hashed` never wrote."""
    try:
        scheme, log2_n, r, p, salt, key = kept.split("$")
        cost = int(log2_n), int(r), int(p)
        raw = base64.b64decode(salt, validate=True), base64.b64decode(key, validate=True)
    except (ValueError, binascii.Error):
        return False
    within = all(
        1 <= asked <= most for asked, most in zip(cost, (_LOG2_N_MAX, _R_MAX, _P_MAX), strict=True)
    )
    if scheme != "scrypt" or not within or len(raw[1]) != _HASH_BYTES:
        return False
    return hmac.compare_digest(_key(password, raw[0], *cost), raw[1])


NOBODYS = (
    f"scrypt${_LOG2_N}${_R}${_P}$"
    f"{base64.b64encode(bytes(_SALT_BYTES)).decode()}${base64.b64encode(bytes(_HASH_BYTES)).decode()}"
)
"""Compared with when there is no such account: takes as long, and no password matches it."""


def _key(password: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    """The same letters typed on another keyboard give the same bytes (NFKC)."""
    text = unicodedata.normalize("NFKC", password).encode("utf-8", "replace")[:BYTES_MAX]
    memory = 128 * r * (1 << log2_n) + 128 * r * p + (1 << 20)
    return hashlib.scrypt(
        text, salt=salt, n=1 << log2_n, r=r, p=p, maxmem=memory, dklen=_HASH_BYTES
    )
