"""Gateways' TOML, for load: 72 devices by radio on one network server, or bays on a bus."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.uplinks import DEVICES, dev_eui_of, driver_of, name_of

NAME = "mahirah-01"
_HEAD = """
[gateway]
name = "{name}"
site = "pasar-mahirah"

[broker]
host = "{cloud_host}"
port = {cloud_port}
keepalive_s = {keepalive_s}
{tls}

[outbox]
path = "{folder}/outbox.db"
seal_interval_s = {seal_interval_s}
event_gather_s = {event_gather_s}
event_seals_per_minute = {event_seals_per_minute}
journal_commit_s = {journal_commit_s}
bytes_max = {bytes_max}
ballast_bytes = {ballast_bytes}

[uplink]
status_interval_s = 60

[time]
trust = "system"

[[link]]
type = "chirpstack"
name = "lorawan"
broker = {{ host = "{site_host}", port = {site_port} }}
"""
_DEVICE = """
[[device]]
name = "{name}"
driver = "{driver}"
link = "lorawan"
dev_eui = "{eui}"
heartbeat_s = 60
"""
_BUS = """
[gateway]
name = "{name}"
site = "pasar-mahirah"

[broker]
port = {port}

[outbox]
path = "{folder}/outbox.db"
{outbox}

[time]
trust = "system"

[[link]]
type = "modbus"
name = "rs485"
port = "{bus}"
"""
_BAY = """
[[device]]
name = "bay-{unit:02d}"
driver = "dfrobot_sen0591"
link = "rs485"
unit = {unit}
{bay}
"""
_GEOMETRY = "container = { empty_mm = 1000, full_mm = 180 }\n"


def write_gateway(
    folder: Path,
    cloud: tuple[str, int],
    site: tuple[str, int],
    *,
    devices: int = DEVICES,
    tls: str = "",
    **settings: Any,
) -> Path:
    """Write `gateway.toml` into `folder`. `settings` replaces the outbox's defaults and the
    broker's `keepalive_s`."""
    values = {
        "keepalive_s": 60,
        "seal_interval_s": 60,
        "event_gather_s": 0.1,
        "event_seals_per_minute": 30,
        "journal_commit_s": 1.0,
        "bytes_max": 1024**3,
        "ballast_bytes": 4 * 1024**2,
        **settings,
    }
    text = _HEAD.format(
        name=NAME,
        folder=folder,
        cloud_host=cloud[0],
        cloud_port=cloud[1],
        site_host=site[0],
        site_port=site[1],
        tls=tls,
        **values,
    )
    for nth in range(devices):
        driver = driver_of(nth)
        text += _DEVICE.format(name=name_of(nth), driver=driver.name, eui=dev_eui_of(nth))
        if driver.kind == "waste_container":
            text += _GEOMETRY
    path = folder / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return path


def write_bus_gateway(
    folder: Path, port: int, bus: Path, units: Iterable[int], bay: str, outbox: str = ""
) -> Path:
    """Write `gateway.toml` into `folder`: a bay at each of these addresses. `bay` are a bay's
    further keys, `outbox` the outbox's, as TOML."""
    text = _BUS.format(name=NAME, port=port, folder=folder, bus=bus, outbox=outbox)
    path = folder / "gateway.toml"
    path.write_text(text + "".join(_BAY.format(unit=unit, bay=bay) for unit in units))
    return path
