"""The city as data: gateways, zones, bays, bins and WiFi corners, each with its name and place.

    city = City.demo(seed=1)                     two gateways, 40 bays, 30 bins, 2 WiFi corners
    city = City.of(seed=1, bays=500, bins=300)   more of the same streets, for load

The sites are in `streets.py`; the rows of bays and the geometry of each bin are drawn here [I].
"""

from __future__ import annotations

import hashlib
import math
import uuid
from typing import Literal

import msgspec

from simulators.seeds import generator
from simulators.streets import SITES, Character, Position, Site, Zone

BUS_BAY = "dfrobot_sen0591"
RADIO_BAY = "bosch_tps110"
UART_BIN = "dfrobot_a02yyuw"
RADIO_BIN = "milesight_em400"
HOTSPOT = "openwrt_ap"

FREE_MM = 2_600.0  # a bay's sensor hangs under the shed's beam; the SEN0591 sees 3 m
OCCUPIED_BELOW_MM = 1_900.0  # a car's roof leaves 1,150 mm
HYSTERESIS_MM = 100.0
BAY_HEARTBEAT_S = 3_600.0  # what the TPS110 of this city are configured with
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "gampong.simulators")
_BAY_OUI, _BIN_OUI = "0004a3", "24e124"  # Microchip's, as in a TPS110 [M]; Milesight's


class Bay(msgspec.Struct, frozen=True):
    """One parking bay. `unit` and `bus` for a wired sensor, `dev_eui` for one by radio."""

    name: str
    zone: Zone
    label: str
    place: Position
    driver: str
    vehicle: Literal["car", "motorcycle"]
    unit: int = 0
    bus: str = ""
    dev_eui: str = ""


class Bin(msgspec.Struct, frozen=True):
    """One waste bin; the sensor sees `empty_mm` to its floor and `full_mm` when it is full."""

    name: str
    zone: Zone
    label: str
    place: Position
    driver: str
    litres: float
    empty_mm: float
    full_mm: float
    uart: str = ""
    dev_eui: str = ""


class Corner(msgspec.Struct, frozen=True):
    """One public WiFi corner."""

    name: str
    zone: Zone
    label: str
    place: Position
    driver: str = HOTSPOT


class Gateway(msgspec.Struct, frozen=True):
    """One gateway with all that hangs on it. Its LoRaWAN devices form an application of their own,
    so that it sees no other gateway's."""

    name: str
    site: Site
    label: str
    place: Position
    bays: tuple[Bay, ...] = ()
    bins: tuple[Bin, ...] = ()
    corners: tuple[Corner, ...] = ()

    @property
    def application_id(self) -> str:
        return str(uuid.uuid5(_NAMESPACE, self.name))

    @property
    def by_radio(self) -> tuple[Bay | Bin, ...]:
        """Devices that speak LoRaWAN."""
        devices: list[Bay | Bin] = [*self.bays, *self.bins]
        return tuple(one for one in devices if one.dev_eui)

    @property
    def buses(self) -> tuple[str, ...]:
        """The RS-485 buses, by the name of their port."""
        return tuple(dict.fromkeys(bay.bus for bay in self.bays if bay.bus))


class Share(msgspec.Struct, frozen=True):
    """How many devices of each sort hang on one gateway."""

    wired_bays: int
    radio_bays: int
    uart_bins: int
    radio_bins: int
    corners: int = 1


_DEMO = (Share(16, 12, 6, 10), Share(0, 12, 4, 10))
_BUS_UNITS = 32  # detectors on one bus (devices/serial.md)
_GATEWAY_DEVICES = 200  # of one gateway in `City.of`


class City(msgspec.Struct, frozen=True):
    """The whole city. The seed decides both how it looks and what happens in it."""

    seed: int
    gateways: tuple[Gateway, ...]

    @classmethod
    def demo(cls, seed: int = 1) -> City:
        """Two gateways, 40 bays (16 on one RS-485 bus), 30 bins (10 on UARTs), 2 WiFi corners."""
        return _build(seed, _DEMO)

    @classmethod
    def of(cls, seed: int = 1, *, bays: int, bins: int, corners: int = 2) -> City:
        """A city of that many devices: two bays in five on a bus, one bin in three on a UART."""
        count = max(1, math.ceil((bays + bins + corners) / _GATEWAY_DEVICES))
        wired, uarts = bays * 2 // 5, bins // 3
        columns = (wired, bays - wired, uarts, bins - uarts, corners)
        split = [[_part(total, nth, count) for total in columns] for nth in range(count)]
        return _build(seed, tuple(Share(*parts) for parts in split))

    @property
    def bays(self) -> tuple[Bay, ...]:
        return tuple(bay for gateway in self.gateways for bay in gateway.bays)

    @property
    def bins(self) -> tuple[Bin, ...]:
        return tuple(one for gateway in self.gateways for one in gateway.bins)

    @property
    def corners(self) -> tuple[Corner, ...]:
        return tuple(corner for gateway in self.gateways for corner in gateway.corners)


def _part(total: int, nth: int, count: int) -> int:
    return total * (nth + 1) // count - total * nth // count


def _build(seed: int, shares: tuple[Share, ...]) -> City:
    """Names are numbered through the whole city: a device belongs to one gateway."""
    gateways: list[Gateway] = []
    bay = bin_ = corner = 1
    for nth, share in enumerate(shares):
        stem, site = SITES[nth % len(SITES)]
        name = f"{stem}-{nth // len(SITES) + 1:02d}"
        around = Gateway(name, site, f"Gateway {site.label}", site.zones[0].start)
        bays = share.wired_bays + share.radio_bays
        bins = share.uart_bins + share.radio_bins
        gateways.append(
            msgspec.structs.replace(
                around,
                bays=tuple(_bay(around, share, n, bay + n) for n in range(bays)),
                bins=tuple(_bin(seed, around, share, n, bin_ + n) for n in range(bins)),
                corners=tuple(_corner(around, n, corner + n) for n in range(share.corners)),
            )
        )
        bay, bin_, corner = bay + bays, bin_ + bins, corner + share.corners
    return City(seed, tuple(gateways))


def _bay(gateway: Gateway, share: Share, nth: int, number: int) -> Bay:
    """Wired bays stand in two rows under the market's shed, the others along all zones."""
    name, zones = f"bay-{number:02d}", gateway.site.zones
    if nth < share.wired_bays:
        bus, unit = divmod(nth, _BUS_UNITS)
        row, column = divmod(nth, max(1, share.wired_bays // 2))
        aside = zones[0].start.moved(11 * (row % 2) + 40 * (row // 2), zones[0].bearing_deg + 90)
        place = aside.moved(3 + 2.6 * column, zones[0].bearing_deg)
        port = f"ttyBUS-{gateway.name}" + (f"-{bus + 1}" if bus else "")
        label = f"Petak {number}, {zones[0].label}"
        return Bay(name, zones[0], label, place, BUS_BAY, "car", unit=unit + 1, bus=port)
    nth -= share.wired_bays
    zone, along = zones[(1, 0, 1, 2)[nth % 4]], nth // 4
    vehicle: Literal["car", "motorcycle"] = "motorcycle" if nth % 3 == 2 else "car"
    place = zone.start.moved(12 + 11.5 * along + 5.5 * (nth % 4 == 2), zone.bearing_deg)
    place = place.moved(-14 if zone.character is Character.MARKET else 4, zone.bearing_deg + 90)
    label = f"Petak {number}, {zone.label}"
    eui = _eui(_BAY_OUI, name)
    return Bay(name, zone, label, place, RADIO_BAY, vehicle, dev_eui=eui)


def _bin(seed: int, gateway: Gateway, share: Share, nth: int, number: int) -> Bin:
    """Big containers at the market, wheeled bins along the streets (§2, bins)."""
    name, zones = f"bin-{number:02d}", gateway.site.zones
    zone, along = zones[nth % 3], nth // 3
    if zone.character is Character.MARKET:
        litres, outer_mm = ((660.0, 1_200.0), (1_100.0, 1_325.0))[along % 2]
    else:
        litres, outer_mm = ((240.0, 1_070.0), (120.0, 930.0))[along % 4 == 3]
    inner = float(generator(seed, name, "geometry").uniform(0.85, 0.88))  # lid to floor (§2 [I])
    place = zone.start.moved(25 + 28 * along, zone.bearing_deg).moved(-8, zone.bearing_deg + 90)
    return Bin(
        name=name,
        zone=zone,
        label=f"Tempat sampah {number}, {zone.label}",
        place=place,
        driver=UART_BIN if nth < share.uart_bins else RADIO_BIN,
        litres=litres,
        empty_mm=round(outer_mm * inner),
        full_mm=180.0,  # waste at the brim; a sensor's blind zone lies above
        uart=f"ttyUART-{name}" if nth < share.uart_bins else "",
        dev_eui="" if nth < share.uart_bins else _eui(_BIN_OUI, name),
    )


def _corner(gateway: Gateway, nth: int, number: int) -> Corner:
    zone = gateway.site.zones[nth % 3]
    place = zone.start.moved(18 + 40 * (nth // 3), zone.bearing_deg + 20)
    return Corner(f"wifi-{number:02d}", zone, f"WiFi gratis {number}, {zone.label}", place)


def _eui(oui: str, name: str) -> str:
    return oui + hashlib.sha256(name.encode()).hexdigest()[:10]
