"""What every network server's envelope comes down to, and how its parts are read.

In: values of a decoded JSON message. Out: `Uplink` (a device's payload and how it was heard) and
`Notice` (any other event of a device); from an uplink, the fields that the radio gives and the
bytes that its driver takes. Each server's own envelope is a file of its own (`chirpstack.py`,
`things_stack.py`, `milesight_gateway.py`); messages without a network server are in `topics.py`.

What carries the reading (time, device, port, data) is checked strictly. Radio facts only say how
well it was heard: wrong ones are left out and the reading stays.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from devices.driver import Driver, ObjectLink, TopicLink
from devices.reading import Payload, Value

MAX_SIZE = 64 * 1024
MAX_PAYLOAD = 255  # LoRaWAN's physical limit
MAX_GATEWAYS = 1000
MAX_OBJECT = 16 * 1024  # a decoded object; a longer one is left out

DEV_EUI = re.compile(r"[0-9a-fA-F]{16}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DAY_MIN = 24 * 60
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]((?!24)\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?"
    r"(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)


class Uplink(msgspec.Struct, frozen=True):
    """One payload of one device. `None` is a radio fact that nobody reported.

    Args:
        dev_eui: 16 lower-case hex digits. Of a device with a topic of its own (`f_port` 0, no
            radio): its configured name.
        rssi_dbm, snr_db: those of the gateway that heard it loudest.
        decoded: JSON of what the network server made of `data`, where it has a decoder.
        told: what the network server says of the device in place of a payload (ChirpStack's
            `status`), in the kinds' vocabulary; such an uplink has no data.
    """

    dev_eui: str
    f_port: int
    data: bytes
    time_ms: int
    deduplication_id: str = ""
    rssi_dbm: float | None = None
    snr_db: float | None = None
    spreading_factor: int | None = None
    frame_counter: int = 0
    gateways_heard: int = 0
    decoded: bytes = b""
    told: Mapping[str, Value] = {}


class Notice(msgspec.Struct, frozen=True):
    """Any other event of a device, from a closed list of names.

    `up` is one with port 0: commands between device and network, nothing of the application's.
    """

    name: str
    dev_eui: str


def radio_fields(uplink: Uplink) -> dict[str, Value]:
    """What an uplink's reading says of the radio, in the kinds' vocabulary; unknowns left out."""
    if uplink.f_port == 0:
        return {}  # it didn't come by radio
    known: dict[str, Value | None] = {
        "rssi_dbm": uplink.rssi_dbm,
        "snr_db": uplink.snr_db,
        "spreading_factor": uplink.spreading_factor,
        "frame_counter": uplink.frame_counter,
        "gateways_heard": uplink.gateways_heard,
    }
    return {name: value for name, value in known.items() if value is not None}


def payload_of(driver: Driver, uplink: Uplink) -> Payload:
    """What this driver decodes of it: the device's bytes, or what somebody else made of them."""
    decodes_objects = isinstance(driver.link, ObjectLink | TopicLink)
    return Payload(uplink.decoded if decodes_objects else uplink.data, uplink.f_port)


def milliseconds(text: Any) -> int | None:
    """Unix time in milliseconds of an RFC 3339 text, None for anything else."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    date, time, decimals, sign, hours, minutes = match.groups()
    offset_min = 60 * int(hours or 0) + int(minutes or 0)
    try:
        # Without decimals and offset: at 5,000 a second every microsecond counts.
        local = datetime.fromisoformat(f"{date}T{time}+00:00")
    except ValueError:  # the 30th of February, the 61st second
        return None
    if offset_min >= _DAY_MIN:
        return None
    since_ms = (local - EPOCH) // _MILLISECOND + int((decimals or "0").ljust(3, "0")[:3])
    return since_ms + 60_000 * (offset_min if sign == "-" else -offset_min)


def rfc3339(time_ms: int) -> str:
    """The text of a Unix time in milliseconds, with nine decimals and an offset."""
    time = EPOCH + timedelta(milliseconds=time_ms)
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03d}000000+00:00"


def payload_bytes(text: Any) -> bytes | None:
    """The bytes of a base64 text that a LoRaWAN frame can hold, None for any other."""
    if not isinstance(text, str):
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if len(data) <= MAX_PAYLOAD else None


def loudest(heard: list[dict[str, Any]], snr: str = "snr") -> tuple[float | None, float | None]:
    """RSSI and SNR of the loudest gateway. A missing SNR beside an RSSI is a 0 left out; a
    missing RSSI is unknown, because no gateway hears 0 dBm."""
    best: tuple[float | None, float | None] = (None, None)
    for entry in heard:
        rssi_dbm = number(entry.get("rssi"), -200, 30)
        if rssi_dbm is not None and (best[0] is None or rssi_dbm > best[0]):
            best = (rssi_dbm, number(entry.get(snr, 0.0), -50, 50))
    return best


def number(value: Any, low: float, high: float) -> float | None:
    """A JSON number within bounds, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if low <= value <= high else None


def whole(value: Any, low: int, high: int) -> int | None:
    """A whole JSON number within bounds, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if low <= value <= high else None


def tables(value: Any) -> list[dict[str, Any]]:
    """The JSON objects of a list; none when it is no list."""
    entries = value if isinstance(value, list) else []
    return [entry for entry in entries if isinstance(entry, dict)]


def inside(value: Any, *path: str) -> dict[str, Any]:
    """The JSON object at the end of the path, an empty one when it isn't there."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def object_bytes(raw: msgspec.Raw) -> bytes:
    """A copy of a decoded object's JSON; nothing when it is null or too long."""
    data = bytes(raw)
    return b"" if data == b"null" or len(data) > MAX_OBJECT else data
