"""A message that is a row of channels, each with an id but no size: many LoRaWAN sensors' form.

In: a payload and a product's table of channels. Out: each channel's word and its value's bytes.

    | key | value ... | key | value ... |         a key is an id, or an id and a type

A value's size isn't in the message: a key that isn't in the table ends the reading, and what came
before it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from devices.reading import Refusal, Undecodable

Size = int | Callable[[bytes], int]
"""Bytes of a value; or, from what follows the key, how many there are, 0 for can't be."""

Table = Mapping[bytes, tuple[str, Size]]
"""Key: what the channel says, and its value's size."""


def channels(data: bytes, table: Table, answers: bytes = b"") -> Iterator[tuple[str, bytes]]:
    """Each channel's word and value, in order.

    Args:
        table: the product's channels; their keys are of one length.
        answers: first bytes of a key that answers a downlink: it ends the reading like any other
            unknown one, but isn't refused when it comes first.

    Raises:
        Undecodable: `length` for an empty or cut message, `type` when the first channel is none
            of the product's.
    """
    key_size = len(next(iter(table)))
    at, whole = 0, len(data)
    while at < whole or at == 0:
        start = at + key_size
        key = data[at:start]
        known = table.get(key)
        if known is None:
            if start > whole:
                raise Undecodable(Refusal.LENGTH, f"cut after {whole} bytes")
            if at == 0 and key[0] not in answers:
                raise Undecodable(Refusal.TYPE, f"channel {key.hex()}")
            return
        word, size = known
        if not isinstance(size, int):
            size = size(data[start:])
        at = start + size
        if not size or at > whole:
            raise Undecodable(Refusal.LENGTH, f"cut after {whole} bytes")
        yield word, data[start:at]
