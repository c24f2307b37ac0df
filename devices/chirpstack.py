"""The envelope ChirpStack v4 puts around an uplink on MQTT (JSON marshaler).

In: topic and bytes. Out: `Uplink` (a device's payload and how it was heard), `Notice` (any other
event of a device), or `Noise` (nothing of ours). Never raises, whatever the bytes.

    application/<application id>/device/<dev eui>/event/<up|join|status|ack|txack|log|...>

    time                  RFC 3339, nine decimals and an offset; milliseconds are kept
    deduplicationId       one for all copies that several gateways heard
    deviceInfo.devEui     16 hex digits
    fCnt fPort data       counter, port, base64; a release that omits zeros leaves out what is 0
    joinServerContext     present and filled: only a join server's key opens the data
    rxInfo[].rssi .snr    one entry a gateway; a value of 0 is left out
    txInfo.modulation.lora.spreadingFactor

What carries the reading (time, device, port, data) is checked strictly: wrong is `garbage`.
Radio facts only say how well it was heard: wrong ones are left out and the reading stays.
Sources: github.com/chirpstack/chirpstack, api/proto/integration and api/rust/build.rs (which
messages emit zeros); recorded messages in shared/devices/envelopes.
Not understood: a payload still encrypted end to end; `Noise("encrypted")` counts it.
"""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from devices.driver import Noise
from devices.reading import Value

MAX_SIZE = 64 * 1024
MAX_PAYLOAD = 255  # LoRaWAN's physical limit
MAX_GATEWAYS = 1000
NOTICES = frozenset({"join", "status", "ack", "txack", "log", "location", "integration"})
APPLICATION = "6f2b8c1e-53a4-4d0f-9e7a-1c5d3b2a4f60"  # the simulator's application id

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DAY_MIN = 24 * 60
_TOPIC = re.compile(r"(?:.*/)?device/([0-9a-fA-F]{16})/event/([a-z]{1,16})")
_DEV_EUI = re.compile(r"[0-9a-fA-F]{16}")
_DEDUPLICATION_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]((?!24)\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?"
    r"(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)


class Uplink(msgspec.Struct, frozen=True):
    """One payload of one device. `None` is a radio fact that nobody reported.

    rssi_dbm and snr_db are those of the gateway that heard it loudest.
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


class Notice(msgspec.Struct, frozen=True):
    """Any other event of a device: its name is the topic's last level.

    `up` is one with port 0: commands between device and network, nothing of the application's.
    """

    name: str
    dev_eui: str


class _DeviceInfo(msgspec.Struct):
    dev_eui: str = msgspec.field(name="devEui")


class _Event(msgspec.Struct, rename="camel"):
    """Strict where the reading hangs on it, `Any` where it doesn't."""

    device_info: _DeviceInfo
    time: str = ""
    f_port: int = 0
    data: str = ""
    deduplication_id: Any = ""
    f_cnt: Any = 0
    rx_info: Any = None
    tx_info: Any = None
    join_server_context: Any = None


_EVENT = msgspec.json.Decoder(_Event)


def read_envelope(topic: str, data: bytes) -> Uplink | Notice | Noise:
    """Take one MQTT message apart; anything that isn't an event of a device is `Noise`."""
    garbage = Noise("garbage", len(data))
    address = _TOPIC.fullmatch(topic)
    if address is None or len(data) > MAX_SIZE:
        return garbage
    try:
        event = _EVENT.decode(data)
    except (ValueError, RecursionError):  # ValueError: not JSON, another structure, not UTF-8
        return garbage
    dev_eui, name = event.device_info.dev_eui, address[2]
    if _DEV_EUI.fullmatch(dev_eui) is None or dev_eui.lower() != address[1].lower():
        return garbage
    if name in NOTICES or (name == "up" and event.f_port == 0):
        return Notice(name, dev_eui.lower())
    if name != "up":
        return garbage
    if _is_filled(event.join_server_context):
        return Noise("encrypted", len(data))
    return _uplink(event) or garbage


def radio_fields(uplink: Uplink) -> dict[str, Value]:
    """What an uplink's reading says of the radio, in the kinds' vocabulary; unknowns left out."""
    known: dict[str, Value | None] = {
        "rssi_dbm": uplink.rssi_dbm,
        "snr_db": uplink.snr_db,
        "spreading_factor": uplink.spreading_factor,
        "frame_counter": uplink.frame_counter,
        "gateways_heard": uplink.gateways_heard,
    }
    return {name: value for name, value in known.items() if value is not None}


def topic_of(uplink: Uplink) -> str:
    """The topic ChirpStack publishes this uplink on."""
    return f"application/{APPLICATION}/device/{uplink.dev_eui}/event/up"


def write_envelope(uplink: Uplink) -> bytes:
    """The message a current ChirpStack v4 publishes for this uplink: the simulator's voice."""
    time = _EPOCH + timedelta(milliseconds=uplink.time_ms)
    name = f"{uplink.dev_eui}/{uplink.frame_counter}/{uplink.time_ms}"
    event = {
        "deduplicationId": uplink.deduplication_id or str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{uplink.time_ms % 1000:03d}000000+00:00",
        "deviceInfo": {
            "tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242",
            "tenantName": "ChirpStack",
            "applicationId": APPLICATION,
            "applicationName": "gampong",
            "deviceProfileId": "14855bf7-d10d-4aee-b618-ebfcb64dc7ad",
            "deviceProfileName": "gampong",
            "deviceName": uplink.dev_eui,
            "devEui": uplink.dev_eui,
            "deviceClassEnabled": "CLASS_A",
            "tags": {},
        },
        "devAddr": hashlib.sha256(uplink.dev_eui.encode()).hexdigest()[:8],
        "adr": True,  # integration messages say zeros too, radio messages leave them out
        "dr": 12 - (uplink.spreading_factor or 12),
        "fCnt": uplink.frame_counter,
        "fPort": uplink.f_port,
        "confirmed": False,
        "data": base64.b64encode(uplink.data).decode(),
        "rxInfo": [_heard(uplink, nth) for nth in range(uplink.gateways_heard)],
        "txInfo": _sent(uplink),
        "regionConfigId": "as923",
    }
    return msgspec.json.encode(event)


def _uplink(event: _Event) -> Uplink | None:
    time_ms = _milliseconds(event.time)
    try:
        data = base64.b64decode(event.data, validate=True)
    except ValueError:
        return None
    if time_ms is None or not 0 < event.f_port <= 255 or len(data) > MAX_PAYLOAD:
        return None
    identity = event.deduplication_id
    known = isinstance(identity, str) and _DEDUPLICATION_ID.fullmatch(identity) is not None
    heard = [entry for entry in _listed(event.rx_info) if isinstance(entry, dict)]
    rssi_dbm, snr_db = _loudest(heard)
    lora = _inside(event.tx_info, "modulation", "lora")
    return Uplink(
        dev_eui=event.device_info.dev_eui.lower(),
        f_port=event.f_port,
        data=data,
        time_ms=time_ms,
        deduplication_id=identity if known else "",
        rssi_dbm=rssi_dbm,
        snr_db=snr_db,
        spreading_factor=_whole(lora.get("spreadingFactor"), 5, 12),
        frame_counter=_whole(event.f_cnt, 0, 2**32 - 1) or 0,
        gateways_heard=min(len(heard), MAX_GATEWAYS),
    )


def _milliseconds(text: str) -> int | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    date, time, decimals, sign, hours, minutes = match.groups()
    offset_min = 60 * int(hours or 0) + int(minutes or 0)
    try:
        local = datetime.fromisoformat(
            f"{date}T{time}+00:00"
        )  # at 5,000/s every microsecond counts
    except ValueError:  # the 30th of February, the 61st second
        return None
    if offset_min >= _DAY_MIN:
        return None
    since_ms = (local - _EPOCH) // _MILLISECOND + int((decimals or "0").ljust(3, "0")[:3])
    return since_ms + 60_000 * (offset_min if sign == "-" else -offset_min)


def _loudest(heard: list[dict[str, Any]]) -> tuple[float | None, float | None]:
    """RSSI and SNR of the loudest gateway. A missing SNR beside an RSSI is a 0 left out; a
    missing RSSI is unknown, because no gateway hears 0 dBm."""
    best: tuple[float | None, float | None] = (None, None)
    for entry in heard:
        rssi_dbm = _number(entry.get("rssi"), -200, 30)
        if rssi_dbm is not None and (best[0] is None or rssi_dbm > best[0]):
            best = (rssi_dbm, _number(entry.get("snr", 0.0), -50, 50))
    return best


def _number(value: Any, low: float, high: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if low <= value <= high else None


def _whole(value: Any, low: int, high: int) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if low <= value <= high else None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _inside(value: Any, *path: str) -> dict[str, Any]:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _is_filled(context: Any) -> bool:
    return any(context.values()) if isinstance(context, dict) else bool(context)


def _heard(uplink: Uplink, nth: int) -> dict[str, Any]:
    """The nth gateway's report; the first is the loudest, the others hear 6 dB less each."""
    entry: dict[str, Any] = {"gatewayId": f"24e124fffef0{nth:04x}", "uplinkId": 1 + nth}
    if uplink.rssi_dbm is not None:
        entry["rssi"] = max(-200, round(uplink.rssi_dbm) - 6 * nth)
        if uplink.snr_db:  # 0 is left out
            entry["snr"] = max(-50.0, uplink.snr_db - 3.0 * nth)
    return entry | {"location": {}, "context": "AAAAAA==", "crcStatus": "CRC_OK"}


def _sent(uplink: Uplink) -> dict[str, Any]:
    lora: dict[str, Any] = {"bandwidth": 125_000, "codeRate": "CR_4_5"}
    if uplink.spreading_factor is not None:
        lora["spreadingFactor"] = uplink.spreading_factor
    return {"frequency": 923_200_000, "modulation": {"lora": lora}}
