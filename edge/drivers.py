"""Which driver reads a device: a file of `devices/`, or a table of the gateway's configuration.

In: the configuration and a device. Out: its driver. Both kinds are named the same way, by
`driver` of the device; a table may not bear a file's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from devices.driver import Driver, load_driver
from devices.field_map import map_driver
from devices.register_driver import driver_of_map
from devices.register_map import RegisterMap
from edge.link_settings import BY_TOPIC

if TYPE_CHECKING:
    from edge.configuration import Device, EdgeConfiguration

MAPS_MAX = 256


def driver_of(configuration: EdgeConfiguration, device: Device) -> Driver:
    """The driver of a configured device.

    Raises:
        UnknownDriver: there is none of that name.
        BadMap: the table can't be used. Neither once the configuration was checked.
    """
    field_map = configuration.field_map.get(device.driver)
    if field_map is None:
        return named_driver(device.driver, configuration.register_map)
    plain = {link.name for link in configuration.link if isinstance(link, BY_TOPIC)}
    return map_driver(device.driver, field_map, by_topic=device.link in plain)


def named_driver(name: str, register_maps: Mapping[str, RegisterMap]) -> Driver:
    """The driver of that name, the configuration's own first."""
    declared = register_maps.get(name)
    return load_driver(name) if declared is None else _of_map(name, declared)


_of_map = lru_cache(MAPS_MAX)(driver_of_map)  # asked again at each status
