"""What a person changes about one device, in the text of a `gateway.toml`: comments and order stay.

In: the text, the device, what is new. Out: the new text. A device that gets another sensor keeps
its name and so its history; what the empty bay's field was for the sensor before (`magnet.free_ut`)
goes. A container's distances and a bay's threshold are the place's, and stay until calibrated
again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from wire.configuration import ConfigurationError

REPLACEABLE = ("driver", "link", "unit", "node", "dev_eui", "sensor")


def with_another_sensor(text: str, source: str, device: str, new: Mapping[str, str | int]) -> str:
    """`new` are keys of `REPLACEABLE`.

    Raises:
        ConfigurationError: not TOML, or no such device.
    """
    document, table = device_table(text, source, device)
    for key in REPLACEABLE:
        if key in new:
            table[key] = new[key]
    if "free_ut" in table.get("magnet", {}):
        del table["magnet"]["free_ut"]
    return tomlkit.dumps(document)


def in_maintenance_until(text: str, source: str, device: str, until: datetime | None) -> str:
    """The device is being worked at until then; None: no longer, nor until further notice.

    Raises:
        ConfigurationError: not TOML, or no such device.
    """
    document, table = device_table(text, source, device)
    if until is None:
        for key in ("maintenance", "maintenance_until"):
            table.pop(key, None)
    else:
        table["maintenance_until"] = until.replace(microsecond=0)
    return tomlkit.dumps(document)


def device_table(text: str, source: str, device: str) -> tuple[Any, Any]:
    """The document, and the device's table in it.

    Raises:
        ConfigurationError: not TOML, or no such device.
    """
    try:
        document: Any = tomlkit.parse(text)
    except TOMLKitError as error:
        raise ConfigurationError(source, "", f"not TOML: {error}", "Mend that line") from error
    for each in document.get("device", ()):
        if each.get("name") == device:
            return document, each
    raise ConfigurationError(source, "device", f"no {device!r}", "Name one that is there")
