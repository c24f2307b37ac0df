"""The gateways' TOML for a simulated city: the same files a street's gateways would have.

In: the city, its directory, the brokers. Out: `<gateway>.toml` for each gateway, with the ptys in
place of /dev/ttyUSB0 and ports of this machine in place of a corner's access point. The keys are
those of `edge/configuration.py`, which this room may not import; a test loads every file with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from devices.driver import RouterosLink, SnmpLink, load_driver
from simulators import payments
from simulators.city import (
    GAUGE_EMPTY_MM,
    GAUGE_FULL_MM,
    HYSTERESIS_MM,
    OCCUPIED_BELOW_MM,
    Bay,
    Bin,
    City,
    Corner,
    Gateway,
    Placed,
    Terminal,
)
from simulators.endpoints import (
    HOST,
    PROBE_NAME,
    USERNAME,
    Endpoints,
    endpoints_of,
    serial_ports_of,
    write_private,
)
from simulators.envelopes import ServerName, envelope_of
from simulators.radio_devices import radio_heartbeat_s
from simulators.snmp_agent import CLIENTS, INTERFACE
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
    serial: Literal["pty", "tcp"] = "pty",
    envelope: ServerName = "chirpstack",
) -> list[Path]:
    """Write each gateway's configuration into `directory`; the files, in the city's order.

    Args:
        cloud_broker: where sealed batches go.
        site_broker: where the network server publishes uplinks.
        poll_interval_s: city seconds between two polls of a bay; corners and UART bins are taken
            at twice and three times that, other instruments at six times.
        serial: whether ports are ptys in the directory or TCP ports of this machine.
        envelope: which network server publishes uplinks.
    """
    directory.mkdir(parents=True, exist_ok=True)
    endpoints = endpoints_of(city, directory)
    tcp = serial_ports_of(city, directory) if serial == "tcp" else {}
    paths = []
    for gateway in city.gateways:
        head: dict[str, Table] = {
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
        if gateway.terminals:
            head[f"field_map.{payments.DRIVER}"] = payments.FIELD_MAP
        lists = {
            "link": _links(gateway, _Where(directory, tcp, envelope), site_broker, endpoints),
            "device": _devices(gateway, poll_interval_s),
        }
        path = directory / f"{gateway.name}.toml"
        path.write_text(_toml(head, lists), encoding="utf-8")
        paths.append(path)
    return paths


class _Where(msgspec.Struct, frozen=True):
    """What a serial port's name stands for on this machine."""

    directory: Path
    tcp: Mapping[str, int]
    envelope: ServerName

    def port(self, name: str) -> str:
        """A path, or a URL."""
        if name in self.tcp:
            return f"socket://{HOST}:{self.tcp[name]}"
        return str(self.directory / name)


def _links(
    gateway: Gateway, where: _Where, site_broker: Broker, endpoints: Mapping[str, Endpoints]
) -> list[Table]:
    links: list[Table] = [
        {"type": "modbus", "name": _link_name(bus), "port": where.port(bus)}
        for bus in gateway.buses
    ]
    links += [
        {"type": "uart", "name": _link_name(one.uart), "port": where.port(one.uart)}
        for one in gateway.devices
        if one.uart
    ]
    if gateway.by_radio:
        links.append(
            {
                "type": where.envelope,
                "name": "lorawan",
                "broker": _broker(site_broker),
                "topic": envelope_of(where.envelope, gateway.application_id).filter,
            }
        )
    if gateway.terminals:
        links.append({"type": "json", "name": "payments", "broker": _broker(site_broker)})
    for corner in gateway.corners:
        own = endpoints[corner.name]
        password_file = where.directory / f"{corner.name}.password"
        write_private(password_file, own.password.encode())
        probes = {
            "probe_connect": f"{HOST}:{own.connect}",
            "probe_name": PROBE_NAME,
            "probe_dns_server": f"{HOST}:{own.dns}",
            "probe_portal_url": own.portal_url,
        }
        links.append({"name": corner.name, **_asked(corner, own, password_file), **probes})
    return links


def _asked(corner: Corner, own: Endpoints, password_file: Path) -> Table:
    """How its access point is asked."""
    link, account = load_driver(corner.driver).link, {"username": USERNAME}
    if isinstance(link, SnmpLink):
        where = f"{HOST}:{own.snmp}"
        told = {"community_file": str(password_file), "interface": INTERFACE}
        return {"type": "snmp", "host": where, **told, "client_oids": [CLIENTS]}
    account["password_file"] = str(password_file)
    if isinstance(link, RouterosLink):
        return {"type": "routeros", "url": own.rest_url, **account}
    return {"type": "hotspot", "url": own.ubus_url, **account}


def _devices(gateway: Gateway, poll_interval_s: float) -> list[Table]:
    sensors = [_device(one) | _reached(one, poll_interval_s) | _mounted(one) for one in
               gateway.devices]  # fmt: skip
    return [*sensors, *map(_terminal, gateway.terminals)]


def _terminal(one: Terminal) -> Table:
    return {
        "name": one.name,
        "driver": payments.DRIVER,
        "link": "payments",
        "topic": one.topic,
        "match": payments.SETTLED,
        "zone": one.zone.name,
        "label": one.label,
        "place": _place(one.place),
    }


def _device(one: Placed) -> dict[str, Any]:
    return {
        "name": one.name,
        "driver": one.driver,
        "zone": one.zone.name,
        "label": one.label,
        "place": _place(one.place),
    }


def _reached(one: Placed, poll_interval_s: float) -> dict[str, Any]:
    """Its link, its identity on it, and how often it is heard."""
    if one.dev_eui:
        driver = load_driver(one.driver)
        heartbeat_s = radio_heartbeat_s(driver)
        own: dict[str, Any] = {"link": "lorawan", "dev_eui": one.dev_eui}
        return own | ({} if heartbeat_s == driver.heartbeat_s else {"heartbeat_s": heartbeat_s})
    times = 1 if isinstance(one, Bay) else 3 if isinstance(one, Bin) else 6
    if one.bus:
        own = {"link": _link_name(one.bus), "unit": one.unit}
        own |= {} if one.node is None else {"node": one.node}
    elif one.uart:
        own = {"link": _link_name(one.uart)}
    else:
        own, times = {"link": one.name}, 2
    return own | {"poll_interval_s": times * poll_interval_s}


def _mounted(one: Placed) -> dict[str, Any]:
    """What the meaning of a distance hangs on, where the sensor gives one."""
    driver = load_driver(one.driver)
    if isinstance(one, Bay) and driver.raw_field == "distance_mm":
        geometry = {"occupied_below_mm": OCCUPIED_BELOW_MM, "hysteresis_mm": HYSTERESIS_MM}
        return {"bay": geometry}
    if isinstance(one, Bin):
        container = {"empty_mm": one.empty_mm, "full_mm": one.full_mm}
        return {"container": container | ({"taper": one.taper} if one.taper < 1 else {})}
    if driver.kind == "water_level":
        return {"container": {"empty_mm": GAUGE_EMPTY_MM, "full_mm": GAUGE_FULL_MM}}
    return {}


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
