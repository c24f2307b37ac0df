"""The JSON that a Milesight LoRaWAN gateway (UG63, UG65, UG67) publishes from its own server.

In: bytes of an MQTT message; the topic is the operator's own choice. Out: `Uplink`, `Notice` (an
event of a device that isn't an uplink), or `Noise` (nothing of ours). Never raises.

    devEUI                 16 hex digits
    time                   RFC 3339, when the gateway heard it
    fCnt fPort data        counter, port, base64
    rxInfo[].rssi .loRaSNR
    txInfo.dataRate.spreadFactor
    ...                    with a decoder in the gateway: the decoded keys beside these, and `data`
                           may be absent

Sources: support.milesight-iot.com 73000600064; Milesight, building IoT gateway application guide.
It looks like ChirpStack v3's and is not: SNR, spreading factor and merged keys have other names.
"""

from __future__ import annotations

from typing import Any

import msgspec

from devices.driver import Noise
from devices.envelope import (
    DEV_EUI,
    MAX_GATEWAYS,
    MAX_OBJECT,
    MAX_SIZE,
    Notice,
    Uplink,
    inside,
    loudest,
    milliseconds,
    payload_bytes,
    tables,
    whole,
)

ENVELOPE = frozenset(
    {
        "applicationID",
        "applicationName",
        "cellularIP",
        "data",
        "devEUI",
        "deviceID",
        "deviceName",
        "fCnt",
        "fPort",
        "gatewaySN",
        "gatewayTime",
        "metadata",
        "rxInfo",
        "time",
        "txInfo",
    }
)
"""Keys of the envelope; what else is there was decoded by the gateway."""

_JSON = msgspec.json.Decoder(dict[str, Any])


def read_envelope(topic: str, data: bytes) -> Uplink | Notice | Noise:
    """Take one MQTT message apart; anything that isn't an event of a device is `Noise`."""
    garbage = Noise("garbage", len(data))
    if len(data) > MAX_SIZE:
        return garbage
    try:
        event = _JSON.decode(data)
    except (ValueError, RecursionError):  # ValueError: not JSON, another structure, not UTF-8
        return garbage
    dev_eui = event.get("devEUI")
    if not isinstance(dev_eui, str) or DEV_EUI.fullmatch(dev_eui) is None:
        return garbage
    decoded = {name: value for name, value in event.items() if name not in ENVELOPE}
    port = whole(event.get("fPort", 0), 0, 255)
    if port == 0 or ("data" not in event and "fCnt" not in event):
        return Notice("other", dev_eui.lower())
    time_ms, payload = milliseconds(event.get("time")), payload_bytes(event.get("data", ""))
    if time_ms is None or payload is None or port is None:
        return garbage
    heard = tables(event.get("rxInfo"))
    rssi_dbm, snr_db = loudest(heard, snr="loRaSNR")
    object_ = msgspec.json.encode(decoded) if decoded else b""
    return Uplink(
        dev_eui=dev_eui.lower(),
        f_port=port,
        data=payload,
        time_ms=time_ms,
        rssi_dbm=rssi_dbm,
        snr_db=snr_db,
        spreading_factor=whole(inside(event.get("txInfo"), "dataRate").get("spreadFactor"), 5, 12),
        frame_counter=whole(event.get("fCnt"), 0, 2**32 - 1) or 0,
        gateways_heard=min(len(heard), MAX_GATEWAYS),
        decoded=object_ if len(object_) <= MAX_OBJECT else b"",
    )
