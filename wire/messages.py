"""What gateway and cloud say to each other beside the batches.

Confirmations are MessagePack (they are downlink bytes, one a batch: 35 against 60 in JSON). Status
and inventory are JSON with names, compressed by a dictionary of their own: a status a minute would
otherwise cost more than the readings. Whoever looks puts `zstd -d -D wire/dictionaries/3.zdict`
behind `mosquitto_sub -N -C 1`. Decoding takes JSON plain or compressed, and is strict: an unknown
key, a wrong type or an oversized message is `BadMessage`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, TypeVar

import msgspec
import zstandard

from wire.batch import LEVEL, UnknownDictionary, dictionary
from wire.malformed import MALFORMED

MESSAGE_BYTES_MAX = 256 * 1024
"""Also of what a compressed one expands to."""

HOLD_S_MAX = 86_400.0

DICTIONARY_ID = 3
"""The dictionary that this version packs messages with."""

_ZSTD = b"\x28\xb5\x2f\xfd"  # how a frame begins (RFC 8878, 3.1.1), and JSON never does
_T = TypeVar("_T")


Whole = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""Every whole number of a message: JSON has them as long as a sender likes, and one of 400 digits
ends whoever divides by it, or stores it."""


class BadMessage(Exception):
    """A message that isn't what its topic says; the text names the first thing wrong."""


class Fate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What became of one batch.

    Final when `hold_s` is 0: `stored` readings are in the database and `rejected` ones are in the
    dead-letter file, counted by reason. A reason with the count 0 means all readings of the batch:
    the far side couldn't open it and so couldn't count them. `hold_s` above 0 means: not now, keep
    it, free its place in the window and send it again after so many seconds.
    """

    sequence: Whole
    digest: bytes
    stored: Whole = 0
    rejected: dict[str, Whole] = {}
    hold_s: float = 0.0

    @property
    def final(self) -> bool:
        return self.hold_s == 0


class Confirm(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Fates of batches of one epoch (16 bytes)."""

    epoch: bytes
    fates: tuple[Fate, ...]


def _sum(mine: Any, theirs: Any) -> Any:
    return dict(Counter(mine) + Counter(theirs)) if isinstance(mine, dict) else mine + theirs


class Ledger(msgspec.Struct, frozen=True):
    """Where every reading is. At every moment both equations hold (`balanced`).

    taken = refused + suppressed + open + accepted
    accepted = waiting + stored + rejected + dropped
    """

    taken: Whole = 0
    refused: dict[str, Whole] = {}
    suppressed: Whole = 0
    open: Whole = 0
    accepted: Whole = 0
    waiting: Whole = 0
    stored: Whole = 0
    rejected: dict[str, Whole] = {}
    dropped: dict[str, Whole] = {}
    noise: dict[str, Whole] = {}
    gaps: Whole = 0
    gap_ms: Whole = 0

    @property
    def balanced(self) -> bool:
        taken = sum(self.refused.values()) + self.suppressed + self.open + self.accepted
        rejected, dropped = sum(self.rejected.values()), sum(self.dropped.values())
        return (
            self.taken == taken and self.accepted == self.waiting + self.stored + rejected + dropped
        )

    def __add__(self, other: Ledger) -> Ledger:
        """The ledger of two gateways together."""
        return Ledger(
            **{
                name: _sum(getattr(self, name), getattr(other, name))
                for name in Ledger.__struct_fields__
            }
        )


class LinkStatus(msgspec.Struct, frozen=True):
    """One link of a gateway: `state` is `up` or `down`, `errors` counts by reason since start."""

    name: str
    state: str
    errors: dict[str, Whole] = {}
    detail: str = ""


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """A gateway's retained word about itself. The last will is a status with `online` False. What
    is as it is by default isn't said: it goes each minute, by a paid link.

    `card_life_used` is the share of its card's life, 1 for all, where the card tells (eMMC does).
    `temperature_c` is the gateway's own, where its kernel tells.
    `uplink_bytes` went over the uplink's interface this month, where one is named and known, of
    `uplink_quota_bytes` (0: no quota).
    """

    gateway: str
    online: bool
    version: str = ""
    time_ms: Whole = 0
    epoch: str = ""
    ledger: Ledger = Ledger()
    oldest_sequence: Whole = 0
    newest_sequence: Whole = 0
    oldest_waiting_ms: Whole = 0
    outbox_bytes: Whole = 0
    outbox_bytes_max: Whole = 0
    parked: Whole = 0
    clock: str = "trusted"
    alarms: tuple[str, ...] = ()
    links: tuple[LinkStatus, ...] = ()
    card_life_used: float | None = None
    uplink_bytes: Whole | None = None
    uplink_quota_bytes: Whole = 0
    temperature_c: float | None = None


class Place(msgspec.Struct, frozen=True):
    """Where a device stands, WGS 84 degrees."""

    latitude: float
    longitude: float


class Commissioned(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a technician found when the device was taken into service: passed or not, the time from
    its frame on the cable to the cloud's confirmation where that was waited for, and why not."""

    at_ms: Whole
    passed: bool
    round_trip_ms: Whole | None = None
    note: str = ""


class InventoryDevice(msgspec.Struct, frozen=True):
    """One device as the gateway's configuration names it."""

    name: str
    kind: str
    driver: str
    zone: str
    heartbeat_s: float
    expiry_s: float
    place: Place | None = None
    label: str = ""
    maintenance: bool = False
    maintenance_until_ms: Whole = 0
    commissioned: Commissioned | None = None


class Inventory(msgspec.Struct, frozen=True):
    """A gateway's retained list of what hangs on it."""

    gateway: str
    site: str
    seal_interval_s: float
    devices: tuple[InventoryDevice, ...] = ()
    place: Place | None = None
    label: str = ""


class CloudTime(msgspec.Struct, frozen=True):
    """City time as the watch reads it, Unix milliseconds."""

    time_ms: Whole


def encode_confirm(epoch: bytes, fates: Iterable[Fate]) -> bytes:
    """A confirmation. What a fate has as by default at its end isn't said."""
    said = [
        fate if fate.rejected or fate.hold_s else (fate.sequence, fate.digest, fate.stored)
        for fate in fates
    ]
    return msgspec.msgpack.encode((epoch, said))


def decode_confirm(data: bytes) -> Confirm:
    """A confirmation, from bytes that may come from anyone.

    Raises:
        BadMessage: too large, not MessagePack, or not a confirmation.
    """
    if len(data) > MESSAGE_BYTES_MAX:
        raise BadMessage(f"larger than {MESSAGE_BYTES_MAX} bytes")
    try:
        confirm = msgspec.msgpack.decode(data, type=Confirm, strict=True)
    except MALFORMED as error:
        raise BadMessage(str(error)) from error
    if not all(0 <= fate.hold_s <= HOLD_S_MAX for fate in confirm.fates):  # nor a NaN
        raise BadMessage(f"a hold outside 0 to {HOLD_S_MAX:g} s")
    return confirm


def encode_message(message: msgspec.Struct) -> bytes:
    """JSON of any of the types above but confirmations."""
    return msgspec.json.encode(message)


def pack_message(message: msgspec.Struct) -> bytes:
    """The same, compressed: a tenth of a status, a fifth of an inventory.

    A context of its own each time, since two threads in one end the process (`wire.batch`).
    """
    packer = zstandard.ZstdCompressor(level=LEVEL, dict_data=dictionary(DICTIONARY_ID))
    return packer.compress(encode_message(message))


def decode_message(data: bytes, type_: type[_T]) -> _T:
    """A message of that type, packed or not, from bytes that may come from anyone.

    Raises:
        BadMessage: too large, not JSON, not of that type, or packed by a dictionary this version
            doesn't have.
    """
    if len(data) > MESSAGE_BYTES_MAX:
        raise BadMessage(f"larger than {MESSAGE_BYTES_MAX} bytes")
    if data.startswith(_ZSTD):
        data = _unpacked(data)
    try:
        return msgspec.json.decode(data, type=type_, strict=True)
    except MALFORMED as error:
        raise BadMessage(str(error)) from error


def _unpacked(data: bytes) -> bytes:
    try:
        header = zstandard.get_frame_parameters(data)
        if header.content_size > MESSAGE_BYTES_MAX:  # or unknown, which is the largest number
            raise BadMessage(f"expands to more than {MESSAGE_BYTES_MAX} bytes")
        known = dictionary(header.dict_id) if header.dict_id else None
        unpacker = zstandard.ZstdDecompressor(dict_data=known, max_window_size=MESSAGE_BYTES_MAX)
        return unpacker.decompress(data, allow_extra_data=False)
    except (zstandard.ZstdError, UnknownDictionary) as error:
        raise BadMessage(str(error)) from error
