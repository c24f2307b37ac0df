"""What was found, as tables of `gateway.toml`, comments and order of the rest kept.

In: the text of a configuration and what a scan found. Out: the text with links and devices added
for what isn't there yet, and what was left out and why: sensors that no driver reads (a register
map is a person's work), and slaves of another speed than their bus has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tomlkit
from tomlkit.exceptions import TOMLKitError

from devices.driver import load_driver
from edge.scan import Found
from wire.configuration import ConfigurationError
from wire.sentence import Told, told

NAMES = {
    "parking_spot": "bay",
    "waste_container": "bin",
    "wifi_access_point": "wifi",
    "energy_meter": "meter",
    "water_level": "gauge",
    "soil_moisture": "soil",
}


class Proposal(NamedTuple):
    """`text` is the new configuration, `new` names the devices that it adds, `left_out` says in a
    sentence each what it doesn't."""

    text: str
    new: list[str]
    left_out: list[Told]


def propose(text: str, found: Sequence[Found], source: str) -> Proposal:
    """The configuration with what was found.

    Raises:
        ConfigurationError: the text isn't TOML.
    """
    try:
        document: Any = tomlkit.parse(text)
    except TOMLKitError as error:
        raise ConfigurationError(source, "", f"not TOML: {error}", "Mend that line") from error
    links = document.setdefault("link", tomlkit.aot())
    devices = document.setdefault("device", tomlkit.aot())
    new: list[str] = []
    left_out: list[Told] = []
    for one in found:
        what = told("{port}", port=one.port)
        if one.unit is not None:
            what = told("{port}, address {unit}", port=one.port, unit=one.unit)
        if not one.drivers:
            left_out.append(
                told("{what}: answers, and no driver reads it: declare its register map", what=what)
            )
            continue
        link, speed = _link_of(links, one)
        if speed not in (None, one.baudrate):
            left_out.append(
                told(
                    "{what}: talks at {baudrate}, its bus at {speed}: set it to that",
                    what=what,
                    baudrate=one.baudrate,
                    speed=speed,
                )
            )
            continue
        if any(_is_it(device, link, one) for device in devices):
            continue
        name = _free(NAMES.get(load_driver(one.drivers[0]).kind, "sensor"), devices)
        table = tomlkit.table()
        table.update({"name": name, "driver": one.drivers[0], "link": link})
        if one.unit is not None:
            table["unit"] = one.unit
        devices.append(table)
        new.append(name)
    return Proposal(tomlkit.dumps(document), new, left_out)


def _link_of(links: Any, one: Found) -> tuple[str, int | None]:
    """Name and speed of the link on that port; a new one where there is none."""
    for link in links:
        if link.get("port") == one.port:
            return str(link["name"]), link.get("baudrate")
    kind = "uart" if one.unit is None else "modbus"
    name = _free("uart" if one.unit is None else "bus", links)
    table = tomlkit.table()
    table.update({"type": kind, "name": name, "port": one.port})
    table.update({"baudrate": one.baudrate, "parity": one.parity})
    links.append(table)
    return name, one.baudrate


def _is_it(device: Any, link: str, one: Found) -> bool:
    return bool(device.get("link") == link and device.get("unit") == one.unit)


def _free(stem: str, tables: Any) -> str:
    taken = {table.get("name") for table in tables}
    return next(name for at in range(1, 10_000) if (name := f"{stem}-{at:02}") not in taken)
