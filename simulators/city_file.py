"""A city of chosen devices: by name on the command line, or as a TOML file.

    gampong simulate --device bosch_tps110:3 --device dfrobot_a02yyuw …
    gampong simulate --city street.toml …

    name = "gang-mawar"              # of the gateway (gampong-01)
    seed = 7                         # what happens (the command line's)

    [[device]]
    driver = "dfrobot_sen0591"       # as in `gampong devices`
    count = 8                        # 1
    vehicle = "motorcycle"           # of a bay (car)

All hang on one gateway, along the streets of the first site. Devices are named by kind: bay-01,
bin-01, wifi-01, people-01. Modbus devices of one driver share a bus, unit by unit; nodes behind one
unit are that unit's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from devices.driver import Driver, ModbusLink, load_driver
from simulators.city import (
    UNITS_A_BUS,
    Bay,
    Bin,
    City,
    Corner,
    Gateway,
    Placed,
    instrument,
    reached,
)
from simulators.streets import SITES

COUNT_MAX = 500
CONTAINER: dict[str, Any] = {"litres": 660.0, "empty_mm": 1_100.0, "full_mm": 350.0}
"""Every ranger there is sees from here to there: the blindest begins at 300 mm."""


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many devices of one driver."""

    driver: str
    count: int = 1
    vehicle: Literal["car", "motorcycle"] = "car"

    @classmethod
    def parse(cls, text: str) -> Wanted:
        """`driver` or `driver:count`.

        Raises:
            ValueError: the count is none.
        """
        name, _, count = text.partition(":")
        return cls(name, int(count or 1))


class CityFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The TOML file."""

    device: tuple[Wanted, ...]
    name: str = "gampong-01"
    seed: int | None = None


def read_city(path: Path, seed: int) -> City:
    """The city that a file describes.

    Raises:
        ValueError: the file isn't of this form, names no driver, or wants too many.
        OSError: it can't be read.
    """
    try:
        file = msgspec.toml.decode(path.read_text(encoding="utf-8"), type=CityFile)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path}: {error}") from error
    return city_of(file.device, seed if file.seed is None else file.seed, file.name)


def city_of(wanted: Sequence[Wanted], seed: int = 1, name: str = "gampong-01") -> City:
    """The city of these devices.

    Raises:
        ValueError: no such driver, or a count out of 1..500.
    """
    site = SITES[0][1]
    around = Gateway(name, site, f"Gateway {name}", site.zones[0].start)
    made: list[Placed] = []
    numbers: Counter[str] = Counter()  # a kind
    units: Counter[str] = Counter()  # a driver
    for want in wanted:
        try:
            driver = load_driver(want.driver)
        except LookupError as error:
            raise ValueError(str(error)) from error
        if not 1 <= want.count <= COUNT_MAX:
            raise ValueError(f"{want.driver}: {want.count} devices, not 1 to {COUNT_MAX}")
        for _ in range(want.count):
            numbers[driver.kind] += 1
            one = _placed(around, driver, want, numbers[driver.kind])
            made.append(_on_bus(one, driver, around, units))
    gateway = msgspec.structs.replace(
        around,
        bays=tuple(one for one in made if isinstance(one, Bay)),
        bins=tuple(one for one in made if isinstance(one, Bin)),
        corners=tuple(one for one in made if isinstance(one, Corner)),
        instruments=tuple(one for one in made if not isinstance(one, Bay | Bin | Corner)),
    )
    return City(seed, (gateway,))


def _placed(around: Gateway, driver: Driver, want: Wanted, number: int) -> Any:
    """One device along the streets, of the class that its kind asks for."""
    zone = around.site.zones[number % 3]
    stems = {
        "parking_spot": ("bay", "Petak"),
        "waste_container": ("bin", "Tempat sampah"),
        "wifi_access_point": ("wifi", "WiFi gratis"),
    }
    if driver.kind not in stems:
        return instrument(around, driver, number, number)
    stem, label = stems[driver.kind]
    name = f"{stem}-{number:02d}"
    common: dict[str, Any] = {
        "name": name,
        "zone": zone,
        "label": f"{label} {number}, {zone.label}",
        "place": zone.start.moved(10 + 9 * (number // 3), zone.bearing_deg),
        "driver": driver.name,
        **reached(driver, name, f"{around.name}-{name}"),
    }
    if stem == "bay":
        return Bay(**common, vehicle=want.vehicle)
    return Bin(**common, **CONTAINER) if stem == "bin" else Corner(**common)


def _on_bus(one: Placed, driver: Driver, around: Gateway, units: Counter[str]) -> Placed:
    """A Modbus device on the bus of its driver, at the next unit or node."""
    link = driver.link
    if not isinstance(link, ModbusLink):
        return one
    bus, nth = divmod(units[driver.name], UNITS_A_BUS)
    units[driver.name] += 1
    port = f"ttyBUS-{around.name}-{driver.name}" + (f"-{bus + 1}" if bus else "")
    if link.stride:
        return msgspec.structs.replace(one, bus=port, unit=1, node=nth + 1)
    return msgspec.structs.replace(one, bus=port, unit=nth + 1)
