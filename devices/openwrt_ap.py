"""OpenWrt access point of a public WiFi corner, with what the gateway itself finds there.

Link: ubus over HTTP. The hotspot link asks and hands over one JSON object of the answers:

    {"clients": hostapd.<if> get_clients    {"clients": {"<mac>": {"assoc": true, ...}, ...}}
     "status":  hostapd.<if> get_status     {"airtime": {"utilization": 0..255, ...}, ...}
     "device":  network.device status       {"statistics": {"rx_bytes": n, "tx_bytes": n, ...}}
     "system":  system info                 {"uptime": s, ...}
     "probe":   the gateway's own probes    {"latency_ms": n, "loss_ratio": 0..1,
                                             "dns_ms": n, "portal": "open|portal|down"}}

    clients              stations with `assoc`, of all radios
    channel_utilization  utilization / 255, of the busiest radio
    rx_bytes, tx_bytes   the interface's counters; they start again with the access point
    latency_ms, dns_ms   null when nothing answered

With several radios, `clients` and `status` are lists of their answers.
A part that didn't answer is null. No part of the access point's: `up` is 0 and only the probe
speaks. Any part: `up` is 1, and what a missing part would have said is left out.

A station's address is a person's. Only the number of stations leaves this file: no address in a
value, and no part of the payload in an error's detail.
Integrity: TCP's. Sources: OpenWrt package/network/services/hostapd/README.md (get_clients,
get_status with real answers); `ubus call network.device status` and `system info` of OpenWrt 19.07.
Not understood: hostapd's `rate`, whose unit differs between releases (so it isn't read).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from devices.driver import Driver, HotspotLink
from devices.reading import Payload, Value, Values
from devices.wifi_corner import KIND, PROBED, Probe, read_answers, with_probe

FULL_AIRTIME = 255
_T = TypeVar("_T")


class _Station(msgspec.Struct):
    assoc: bool = True


class _Clients(msgspec.Struct):
    clients: dict[str, _Station]


class _Airtime(msgspec.Struct):
    utilization: int


class _Status(msgspec.Struct):
    airtime: _Airtime | None = None


class _Statistics(msgspec.Struct):
    rx_bytes: int
    tx_bytes: int


class _Device(msgspec.Struct):
    statistics: _Statistics | None = None


class _System(msgspec.Struct):
    uptime: float


class _Answers(msgspec.Struct):
    clients: _Clients | list[_Clients] | None = None
    status: _Status | list[_Status] | None = None
    device: _Device | None = None
    system: _System | None = None
    probe: Probe | None = None


_ANSWERS = msgspec.json.Decoder(_Answers)


def decode(payload: Payload) -> tuple[Values, ...]:
    """One round of questions to one record of counts."""
    answers = read_answers(payload, _ANSWERS)
    return (with_probe(_access_point(answers), answers.probe),)


def _access_point(answers: _Answers) -> dict[str, Value]:
    parts = (answers.clients, answers.status, answers.device, answers.system)
    fields: dict[str, Value] = {"up": int(any(part is not None for part in parts))}
    if answers.clients is not None:
        fields["clients"] = sum(
            station.assoc for radio in _each(answers.clients) for station in radio.clients.values()
        )
    busy = [radio.airtime.utilization for radio in _each(answers.status) if radio.airtime]
    if busy:
        share = max(busy) / FULL_AIRTIME
        fields["channel_utilization"] = round(share, 4)  # finer than a 255th; no digits to pay for
    if answers.device is not None and answers.device.statistics is not None:
        fields["rx_bytes"] = answers.device.statistics.rx_bytes
        fields["tx_bytes"] = answers.device.statistics.tx_bytes
    if answers.system is not None:
        fields["uptime_s"] = answers.system.uptime
    return fields


def _each(part: _T | list[_T] | None) -> list[_T]:
    if part is None:
        return []
    return part if isinstance(part, list) else [part]


def encode(values: Values) -> Payload:
    """The answers of an access point with that many stations, at addresses made up anew."""
    fields = values.fields
    up = fields.get("up", 1) == 1
    answers = {
        "clients": _clients(int(fields["clients"])) if up and "clients" in fields else None,
        "status": _status(fields.get("channel_utilization")) if up else None,
        "device": _device(fields) if up and "rx_bytes" in fields else None,
        "system": {"uptime": fields["uptime_s"]} if up and "uptime_s" in fields else None,
        "probe": {name: fields.get(name) for name in PROBED},
    }
    return Payload(msgspec.json.encode(answers))


def _clients(count: int) -> dict[str, Value | dict[str, dict[str, bool]]]:
    stations = {_address(nth): {"auth": True, "assoc": True} for nth in range(count)}
    return {"freq": 5260, "clients": stations}


def _address(nth: int) -> str:
    """A locally administered address, so that it can't be anybody's; the same for each `nth`."""
    return ":".join(f"{byte:02x}" for byte in (0x02, *hashlib.sha256(b"%d" % nth).digest()[:5]))


def _status(utilization: Value | None) -> dict[str, str | dict[str, int]]:
    status: dict[str, str | dict[str, int]] = {"status": "ENABLED", "ssid": "gampong"}
    if utilization is not None:
        status["airtime"] = {"utilization": round(float(utilization) * FULL_AIRTIME)}
    return status


def _device(fields: Mapping[str, Value]) -> dict[str, bool | dict[str, Value]]:
    return {"up": True, "statistics": {name: fields[name] for name in ("rx_bytes", "tx_bytes")}}


DRIVER = Driver(
    name="openwrt_ap",
    vendor="OpenWrt",
    models=("OpenWrt with ubus over HTTP",),
    kind=KIND,
    link=HotspotLink(),
    decode=decode,
    encode=encode,
    raw_field="clients",
    resolution=1.0,
    heartbeat_s=60,
)
