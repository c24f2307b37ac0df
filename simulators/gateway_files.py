"""The gateways' TOML for a simulated city: the same files a street's gateways would have.

In: the city, its directory, the brokers. Out: `<gateway>.toml` for each gateway, with the ptys in
place of /dev/ttyUSB0 and ports of this machine in place of a corner's access point. The keys are
those of `edge/configuration.py`, which this room may not import; a test loads every file with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from simulators.city import (
    BAY_HEARTBEAT_S,
    HYSTERESIS_MM,
    OCCUPIED_BELOW_MM,
    Bay,
    Bin,
    City,
    Corner,
    Gateway,
)
from simulators.endpoints import (
    HOST,
    PROBE_NAME,
    USERNAME,
    Endpoints,
    endpoints_of,
    write_private,
)
from simulators.streets import Position
from wire.configuration import Broker

Table = Mapping[str, Any]


def write_gateway_files(
    city: City,
    directory: Path,
    *,
    cloud_broker: Broker,
    site_broker: Broker,
    seal_interval_s: float = 60.0,
    poll_interval_s: float = 10.0,
    status_interval_s: float = 60.0,
) -> list[Path]:
    """Write each gateway's configuration into `directory`; the files, in the city's order.

    Args:
        cloud_broker: where sealed batches go.
        site_broker: where the network server publishes uplinks.
        poll_interval_s: city seconds between two polls of a bay; corners and UART bins are taken
            at twice and three times that.
    """
    directory.mkdir(parents=True, exist_ok=True)
    endpoints = endpoints_of(city, directory)
    paths = []
    for gateway in city.gateways:
        head = {
            "gateway": {
                "name": gateway.name,
                "site": gateway.site.name,
                "label": gateway.label,
                "place": _place(gateway.place),
            },
            "broker": _broker(cloud_broker),
            "outbox": {
                "path": str(directory / f"{gateway.name}.db"),
                "seal_interval_s": seal_interval_s,
            },
            "uplink": {"status_interval_s": status_interval_s},
            "time": {"trust": "system"},
        }
        lists = {
            "link": _links(gateway, directory, site_broker, endpoints),
            "device": _devices(gateway, poll_interval_s),
        }
        path = directory / f"{gateway.name}.toml"
        path.write_text(_toml(head, lists), encoding="utf-8")
        paths.append(path)
    return paths


def _links(
    gateway: Gateway, directory: Path, site_broker: Broker, endpoints: Mapping[str, Endpoints]
) -> list[Table]:
    links: list[Table] = [
        {"type": "modbus", "name": _link_name(bus), "port": str(directory / bus)}
        for bus in gateway.buses
    ]
    links += [
        {"type": "uart", "name": _link_name(bin_.uart), "port": str(directory / bin_.uart)}
        for bin_ in gateway.bins
        if bin_.uart
    ]
    if gateway.by_radio:
        links.append(
            {
                "type": "chirpstack",
                "name": "lorawan",
                "broker": _broker(site_broker),
                "topic": f"application/{gateway.application_id}/device/+/event/+",
            }
        )
    for corner in gateway.corners:
        own = endpoints[corner.name]
        password_file = directory / f"{corner.name}.password"
        write_private(password_file, own.password.encode())
        links.append(
            {
                "type": "hotspot",
                "name": corner.name,
                "url": own.ubus_url,
                "username": USERNAME,
                "password_file": str(password_file),
                "probe_connect": f"{HOST}:{own.connect}",
                "probe_name": PROBE_NAME,
                "probe_dns_server": f"{HOST}:{own.dns}",
                "probe_portal_url": own.portal_url,
            }
        )
    return links


def _devices(gateway: Gateway, poll_interval_s: float) -> list[Table]:
    devices = [_bay(bay, poll_interval_s) for bay in gateway.bays]
    devices += [_bin(bin_, poll_interval_s) for bin_ in gateway.bins]
    for corner in gateway.corners:
        own = {"link": corner.name, "poll_interval_s": 2 * poll_interval_s}
        devices.append(_device(corner) | own)
    return devices


def _device(one: Bay | Bin | Corner) -> dict[str, Any]:
    return {
        "name": one.name,
        "driver": one.driver,
        "zone": one.zone.name,
        "label": one.label,
        "place": _place(one.place),
    }


def _bay(bay: Bay, poll_interval_s: float) -> Table:
    if bay.dev_eui:
        own = {"link": "lorawan", "dev_eui": bay.dev_eui, "heartbeat_s": BAY_HEARTBEAT_S}
        return _device(bay) | own
    geometry = {"occupied_below_mm": OCCUPIED_BELOW_MM, "hysteresis_mm": HYSTERESIS_MM}
    own = {"link": _link_name(bay.bus), "unit": bay.unit, "poll_interval_s": poll_interval_s}
    return _device(bay) | own | {"bay": geometry}


def _bin(bin_: Bin, poll_interval_s: float) -> Table:
    geometry = {"container": {"empty_mm": bin_.empty_mm, "full_mm": bin_.full_mm}}
    if bin_.dev_eui:
        return _device(bin_) | {"link": "lorawan", "dev_eui": bin_.dev_eui} | geometry
    own = {"link": _link_name(bin_.uart), "poll_interval_s": 3 * poll_interval_s}
    return _device(bin_) | own | geometry


def _link_name(port: str) -> str:
    """`ttyBUS-mahirah-01` is the link `bus-mahirah-01`."""
    return port.removeprefix("tty").lower()


def _place(position: Position) -> Table:
    return {"latitude": position.latitude, "longitude": position.longitude}


def _broker(broker: Broker) -> Table:
    table: dict[str, Any] = msgspec.to_builtins(broker)
    return {key: value for key, value in table.items() if value not in ("", None)}


def _toml(tables: Mapping[str, Table], lists: Mapping[str, Sequence[Table]]) -> str:
    lines: list[str] = []
    for name, table in tables.items():
        lines += [f"[{name}]", *_pairs(table), ""]
    for name, rows in lists.items():
        for row in rows:
            lines += [f"[[{name}]]", *_pairs(row), ""]
    return "\n".join(lines)


def _pairs(table: Table) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in table.items()]


def _value(value: Any) -> str:
    """A value as TOML; its strings are JSON's as long as nothing is escaped by surrogates."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_pairs(value)) + " }"
    return json.dumps(value, ensure_ascii=False)
