"""The envelope The Things Stack v3 puts around an uplink (JSON over MQTT, and from its storage).

In: topic and bytes of an MQTT message, or a line of the Storage Integration's answer. Out:
`Uplink`, `Notice` (any other event of a device), or `Noise` (nothing of ours). Never raises.

    v3/<application>[@<tenant>]/devices/<device id>/<up|join|down/queued|down/sent|...>

    end_device_ids.dev_eui              16 hex digits, upper case
    received_at                         when the Application Server had it
    uplink_message
      .received_at                      when the Network Server had it: the reading's time
      .session_key_id .f_cnt .f_port    an absent number is 0
      .frm_payload                      base64; absent when empty
      .decoded_payload                  what the device's payload formatter made of it
      .rx_metadata[].rssi .snr          one entry a gateway; an absent SNR is 0
      .settings.data_rate.lora.spreading_factor

Every zero, empty or false field is left out. A message of the storage is the same object inside
`{"result": ...}`, one a line, with blank lines between. The reading's time, and with it a reading's
identity, is the same on both ways.
Sources: thethingsindustries.com/docs/integrations/data-formats, .../mqtt, .../storage/retrieve;
github.com/TheThingsNetwork/lorawan-stack, api/ttn/lorawan/v3/messages.proto.
"""

from __future__ import annotations

import base64
import re
from typing import Any

import msgspec

from devices.driver import Noise
from devices.envelope import (
    DEV_EUI,
    MAX_GATEWAYS,
    MAX_SIZE,
    Notice,
    Uplink,
    inside,
    loudest,
    milliseconds,
    object_bytes,
    payload_bytes,
    rfc3339,
    tables,
    whole,
)

NOTICES = {
    "join": "join",
    "down/queued": "down_queued",
    "down/sent": "down_sent",
    "down/ack": "down_ack",
    "down/nack": "down_nack",
    "down/failed": "down_failed",
    "down/queue/invalidated": "down_queue_invalidated",
    "location/solved": "location",
    "service/data": "service_data",
    "up/normalized": "up_normalized",  # the same uplink again, in other words
}
_TOPIC = re.compile(r"v3/[^/]{1,100}/devices/([a-z0-9-]{1,100})/([a-z/]{1,40})")
_SESSION = re.compile(r"[A-Za-z0-9+/=]{1,64}")


class _Ids(msgspec.Struct):
    device_id: str = ""
    dev_eui: str = ""


class _Message(msgspec.Struct):
    """Strict where the reading hangs on it, `Any` where it doesn't."""

    frm_payload: str = ""
    f_port: int = 0
    f_cnt: int = 0
    received_at: str = ""
    session_key_id: Any = ""
    rx_metadata: Any = None
    settings: Any = None
    decoded_payload: msgspec.Raw = msgspec.Raw(b"null")


class _Event(msgspec.Struct):
    end_device_ids: _Ids
    received_at: str = ""
    uplink_message: _Message | None = None


class _Stored(msgspec.Struct):
    result: _Event


_EVENT = msgspec.json.Decoder(_Event)
_STORED = msgspec.json.Decoder(_Stored)


def device_id(topic: str) -> str:
    """The network server's own name of the device that the topic belongs to, "" for none."""
    address = _TOPIC.fullmatch(topic)
    return address[1] if address else ""


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
    if event.end_device_ids.device_id != address[1]:
        return garbage
    if address[2] in NOTICES:
        dev_eui = event.end_device_ids.dev_eui
        return Notice(NOTICES[address[2]], dev_eui.lower() if DEV_EUI.fullmatch(dev_eui) else "")
    return _uplink(event, len(data)) if address[2] == "up" else garbage


class Page(msgspec.Struct, frozen=True):
    """One answer of the storage: its uplinks, how many messages it had, those among them that are
    garbage, and after which time to go on ("" when none says)."""

    uplinks: tuple[Uplink, ...]
    messages: int
    garbage: int
    after: str


def read_page(body: bytes) -> Page:
    """Take an answer of the storage apart: a message a line, in the order of `received_at`."""
    uplinks: list[Uplink] = []
    messages = garbage = 0
    after = ""
    for line in filter(None, (line.strip() for line in body.split(b"\n"))):
        messages += 1
        try:
            event = _STORED.decode(line).result
        except (ValueError, RecursionError):
            garbage += 1
            continue
        heard = _uplink(event, len(line))
        if isinstance(heard, Uplink):
            uplinks.append(heard)
        elif isinstance(heard, Noise):
            garbage += 1
        message = event.uplink_message
        received = event.received_at or (message.received_at if message else "")
        if milliseconds(received) is not None:
            after = received
    return Page(tuple(uplinks), messages, garbage, after)


def topic_of(uplink: Uplink, application: str = "gampong@ttn") -> str:
    """The topic The Things Stack publishes this uplink on; its device is named by its EUI."""
    return f"v3/{application}/devices/eui-{uplink.dev_eui}/up"


def write_envelope(uplink: Uplink, application: str = "gampong") -> bytes:
    """The message The Things Stack publishes for this uplink: a simulator's voice."""
    return msgspec.json.encode(_written(uplink, application))


def write_stored(uplink: Uplink, application: str = "gampong") -> bytes:
    """The line the Storage Integration answers for this uplink, without its line feed."""
    return msgspec.json.encode({"result": _written(uplink, application)})


def _uplink(event: _Event, size: int) -> Uplink | Notice | Noise:
    message, dev_eui = event.uplink_message, event.end_device_ids.dev_eui
    if message is None or DEV_EUI.fullmatch(dev_eui) is None:
        return Noise("garbage", size)
    if message.f_port == 0:
        return Notice("up", dev_eui.lower())
    heard = tables(message.rx_metadata)
    oldest = heard[0].get("time") if heard else ""  # an early release says no other
    time_ms = milliseconds(message.received_at or event.received_at or oldest)
    data = payload_bytes(message.frm_payload)
    if time_ms is None or data is None or not 0 < message.f_port <= 255:
        return Noise("garbage", size)
    session = message.session_key_id
    known = isinstance(session, str) and _SESSION.fullmatch(session) is not None
    counter = whole(message.f_cnt, 0, 2**32 - 1) or 0
    rssi_dbm, snr_db = loudest(heard)
    lora = inside(message.settings, "data_rate", "lora")
    return Uplink(
        dev_eui=dev_eui.lower(),
        f_port=message.f_port,
        data=data,
        time_ms=time_ms,
        deduplication_id=f"{dev_eui.lower()}/{session if known else ''}/{counter}/{time_ms}",
        rssi_dbm=rssi_dbm,
        snr_db=snr_db,
        spreading_factor=whole(lora.get("spreading_factor"), 5, 12),
        frame_counter=counter,
        gateways_heard=min(len(heard), MAX_GATEWAYS),
        decoded=object_bytes(message.decoded_payload),
    )


def _written(uplink: Uplink, application: str) -> dict[str, Any]:
    time = rfc3339(uplink.time_ms).replace("+00:00", "Z")
    lora: dict[str, Any] = {"bandwidth": 125_000, "coding_rate": "4/5"}
    if uplink.spreading_factor is not None:
        lora["spreading_factor"] = uplink.spreading_factor
    message: dict[str, Any] = {
        "session_key_id": "AXA50tHUGUucuzS/bCGMNw==",
        "f_port": uplink.f_port,
        "f_cnt": uplink.frame_counter,
        "frm_payload": base64.b64encode(uplink.data).decode(),
        "rx_metadata": [_heard(uplink, nth) for nth in range(uplink.gateways_heard)],
        "settings": {"data_rate": {"lora": lora}, "frequency": "923200000", "time": time},
        "received_at": time,
    }
    if uplink.decoded:
        message["decoded_payload"] = msgspec.Raw(uplink.decoded)
    return {
        "end_device_ids": {
            "device_id": f"eui-{uplink.dev_eui}",
            "application_ids": {"application_id": application},
            "dev_eui": uplink.dev_eui.upper(),
        },
        "received_at": time,
        "uplink_message": {name: value for name, value in message.items() if value},
    }


def _heard(uplink: Uplink, nth: int) -> dict[str, Any]:
    """The nth gateway's report; the first is the loudest, the others hear 6 dB less each."""
    entry: dict[str, Any] = {"gateway_ids": {"gateway_id": f"gateway-{nth}"}}
    if uplink.rssi_dbm is not None:
        entry["rssi"] = max(-200, round(uplink.rssi_dbm) - 6 * nth)
        if uplink.snr_db:  # 0 is left out
            entry["snr"] = max(-50.0, uplink.snr_db - 3.0 * nth)
    return entry
