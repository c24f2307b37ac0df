"""When a payment's point is: the second it was settled in, and a millisecond of its transaction.

A point is known by its device and its time, to the millisecond; payment gateways tell the second.
Two payments of one second would be one point, and the same payment told twice at other times would
be two. So the millisecond is made of the transaction's number: the same number is the same point,
wherever and whenever it is told again, and two numbers of one second are mostly two. Where they
aren't, the outbox moves the later one on (`edge/outbox_keys.py`, `place_line`).
"""

from __future__ import annotations

import zlib

SECOND_MS = 1000


def settled_ms(time_ms: int, transaction: str) -> int:
    """The time of its point, Unix milliseconds, in the second that holds `time_ms`."""
    return time_ms - time_ms % SECOND_MS + zlib.crc32(transaction.encode()) % SECOND_MS
