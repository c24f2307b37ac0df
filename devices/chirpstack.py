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
    object                what ChirpStack's own decoder made of the data, where it has one
    batteryLevel          of `status`: percent, with two flags that say it means nothing
    code                  of `log`: what went wrong, from a closed list

What carries the reading (time, device, port, data) is checked strictly: wrong is `garbage`.
A `status` is told in the same moment as the uplink that brought it: it isn't a reading of its own,
but gives its fields to the device's next one.
Sources: github.com/chirpstack/chirpstack, api/proto/integration and api/rust/build.rs (which
messages emit zeros); recorded messages in shared/devices/envelopes.
Not understood: a payload still encrypted end to end; `Noise("encrypted")` counts it.
"""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from typing import Any

import msgspec

from devices.driver import Noise
from devices.envelope import (
    DEV_EUI,
    MAX_GATEWAYS,
    MAX_SIZE,
    inside,
    loudest,
    milliseconds,
    number,
    object_bytes,
    payload_bytes,
    rfc3339,
    tables,
    whole,
)
from devices.envelope import Notice as Notice
from devices.envelope import Uplink as Uplink
from devices.envelope import radio_fields as radio_fields

NOTICES = frozenset({"join", "ack", "txack", "location", "integration"})
LOG_CODES = frozenset(
    {
        "DOWNLINK_PAYLOAD_SIZE",
        "UPLINK_CODEC",
        "DOWNLINK_CODEC",
        "OTAA",
        "UPLINK_F_CNT_RESET",
        "UPLINK_MIC",
        "UPLINK_F_CNT_RETRANSMISSION",
        "DOWNLINK_GATEWAY",
        "RELAY_NEW_END_DEVICE",
        "F_CNT_DOWN",
    }
)
APPLICATION = "6f2b8c1e-53a4-4d0f-9e7a-1c5d3b2a4f60"  # the simulator's application id

_TOPIC = re.compile(r"(?:.*/)?device/([0-9a-fA-F]{16})/event/([a-z]{1,16})")
_DEDUPLICATION_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


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
    object: msgspec.Raw = msgspec.Raw(b"null")
    code: Any = ""
    battery_level: Any = None
    external_power_source: Any = False
    battery_level_unavailable: Any = False


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
    if DEV_EUI.fullmatch(dev_eui) is None or dev_eui.lower() != address[1].lower():
        return garbage
    if name == "status":
        return _status(event) or Notice(name, dev_eui.lower())
    if name == "log":
        return Notice(_log_name(event.code), dev_eui.lower())
    if name in NOTICES or (name == "up" and event.f_port == 0):
        return Notice(name, dev_eui.lower())
    if name != "up":
        return garbage
    if _is_filled(event.join_server_context):
        return Noise("encrypted", len(data))
    return _uplink(event) or garbage


def topic_of(uplink: Uplink) -> str:
    """The topic ChirpStack publishes this uplink on."""
    return f"application/{APPLICATION}/device/{uplink.dev_eui}/event/up"


def write_envelope(uplink: Uplink) -> bytes:
    """The message a current ChirpStack v4 publishes for this uplink: the simulator's voice."""
    name = f"{uplink.dev_eui}/{uplink.frame_counter}/{uplink.time_ms}"
    event = {
        "deduplicationId": uplink.deduplication_id or str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
        "time": rfc3339(uplink.time_ms),
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
    time_ms, data = milliseconds(event.time), payload_bytes(event.data)
    if time_ms is None or data is None or not 0 < event.f_port <= 255:
        return None
    identity = event.deduplication_id
    known = isinstance(identity, str) and _DEDUPLICATION_ID.fullmatch(identity) is not None
    heard = tables(event.rx_info)
    rssi_dbm, snr_db = loudest(heard)
    lora = inside(event.tx_info, "modulation", "lora")
    return Uplink(
        dev_eui=event.device_info.dev_eui.lower(),
        f_port=event.f_port,
        data=data,
        time_ms=time_ms,
        deduplication_id=identity if known else "",
        rssi_dbm=rssi_dbm,
        snr_db=snr_db,
        spreading_factor=whole(lora.get("spreadingFactor"), 5, 12),
        frame_counter=whole(event.f_cnt, 0, 2**32 - 1) or 0,
        gateways_heard=min(len(heard), MAX_GATEWAYS),
        decoded=object_bytes(event.object),
    )


def _status(event: _Event) -> Uplink | None:
    """The battery's charge as the network asked for it; None when the device has or says none.

    A release that leaves zeros out says nothing of an empty battery either: that is taken as
    unknown, since the same message comes from a device on mains.
    """
    percent = number(event.battery_level, 0, 100)
    time_ms = milliseconds(event.time)
    if event.external_power_source is True or event.battery_level_unavailable is True:
        return None
    if time_ms is None or percent is None:
        return None
    told = {"battery_level": round(percent / 100, 4)}
    return Uplink(event.device_info.dev_eui.lower(), 0, b"", time_ms, told=told)


def _log_name(code: Any) -> str:
    """`log_uplink_mic`: what went wrong, from ChirpStack's own list; `log` for any other."""
    return f"log_{code.lower()}" if isinstance(code, str) and code in LOG_CODES else "log"


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
