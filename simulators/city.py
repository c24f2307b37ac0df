"""The city as data: gateways, zones, bays, bins, WiFi corners and instruments, each with its name
and place.

    city = City.demo(seed=1)                     two gateways, 40 bays, 30 bins, 2 WiFi corners,
                                                 12 instruments
    city = City.of(seed=1, bays=500, bins=300)   more of the same streets, for load

The sites are in `streets.py`; the rows of bays and the geometry of each bin are drawn here [I].
"""

from __future__ import annotations

import hashlib
import math
import uuid
from collections import Counter
from typing import Any, Literal

import msgspec

from devices.driver import Driver, LorawanLink, ModbusLink, UartLink, load_driver
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
FULL_MM = 180.0  # waste at the brim; a sensor's blind zone lies above
WHEELED_TAPER = 0.8  # a 240 l bin is 46 cm wide at its floor, 58 at its brim [I, M]
GAUGE_EMPTY_MM, GAUGE_FULL_MM = 8_000.0, 1_500.0  # from under a bridge to zero, to the flood [I]
INSTRUMENTS = {  # stem of the name, and of the label
    "people_counter": ("people", "Penghitung orang"),
    "traffic_counter": ("traffic", "Penghitung kendaraan"),
    "environment": ("air", "Udara"),
    "energy_meter": ("meter", "Meteran lampu jalan"),
    "water_level": ("river", "Tinggi air"),
    "soil_moisture": ("soil", "Kelembapan tanah"),
}
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "gampong.simulators")
_BAY_OUI, _BIN_OUI = "0004a3", "24e124"  # Microchip's, as in a TPS110 [M]; Milesight's


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """One device where it stands, and how it is reached: `bus` and `unit` (and `node`, where one
    unit speaks for many) on an RS-485 bus, `uart` for a port of its own, `dev_eui` by radio; none
    of them for an access point."""

    name: str
    zone: Zone
    label: str
    place: Position
    driver: str
    unit: int = 0
    node: int | None = None
    bus: str = ""
    uart: str = ""
    dev_eui: str = ""


class Bay(Placed, frozen=True, kw_only=True):
    """One parking bay."""

    vehicle: Literal["car", "motorcycle"]


class Bin(Placed, frozen=True, kw_only=True):
    """One waste bin; the sensor sees `empty_mm` to its floor and `full_mm` when it is full. `taper`
    is the floor's width by the brim's."""

    litres: float
    empty_mm: float
    full_mm: float
    taper: float = 1.0


class Corner(Placed, frozen=True, kw_only=True):
    """One public WiFi corner."""

    driver: str = HOTSPOT


class Instrument(Placed, frozen=True, kw_only=True):
    """Any other device of the city, of the kind that its driver says: a people or traffic counter,
    the air at a place, an energy meter, a river's gauge, a bed's soil."""


class Terminal(msgspec.Struct, frozen=True):
    """Where parking of a zone's `bays` is paid; it tells of payments by MQTT (`payments.py`)."""

    name: str
    zone: Zone
    label: str
    place: Position
    topic: str
    bays: tuple[str, ...]


class Gateway(msgspec.Struct, frozen=True):
    """One gateway with all that hangs on it; `devices` are sensors, so not terminals. Its LoRaWAN
    devices form an application of their own, so that it sees no other gateway's."""

    name: str
    site: Site
    label: str
    place: Position
    bays: tuple[Bay, ...] = ()
    bins: tuple[Bin, ...] = ()
    corners: tuple[Corner, ...] = ()
    instruments: tuple[Instrument, ...] = ()
    terminals: tuple[Terminal, ...] = ()

    @property
    def devices(self) -> tuple[Placed, ...]:
        """Everything that hangs on it."""
        return (*self.bays, *self.bins, *self.corners, *self.instruments)

    @property
    def application_id(self) -> str:
        return str(uuid.uuid5(_NAMESPACE, self.name))

    @property
    def by_radio(self) -> tuple[Placed, ...]:
        """Devices that speak LoRaWAN."""
        return tuple(one for one in self.devices if one.dev_eui)

    @property
    def buses(self) -> tuple[str, ...]:
        """The RS-485 buses, by the name of their port."""
        return tuple(dict.fromkeys(one.bus for one in self.devices if one.bus))


class Share(msgspec.Struct, frozen=True):
    """How many devices of each sort hang on one gateway; `paid`: whether its zones have a terminal
    each."""

    wired_bays: int
    radio_bays: int
    uart_bins: int
    radio_bins: int
    corners: int = 1
    instruments: tuple[str, ...] = ()
    """Names of drivers."""

    paid: bool = False


_BY_RADIO = ("milesight_vs121", "nwave_ncc405", "elsys_ers", "milesight_em500_udl")
_GREEN = "dragino_lse01"
_OF_MAHIRAH = (*_BY_RADIO, "peacefair_pzem", "milesight_vs35x", _GREEN)
_DEMO = (
    Share(16, 12, 6, 10, instruments=_OF_MAHIRAH, paid=True),
    Share(0, 12, 4, 10, instruments=(*_BY_RADIO, _GREEN), paid=True),
)
UNITS_A_BUS = 32  # detectors on one bus (devices/serial.md)
_GATEWAY_DEVICES = 200  # of one gateway in `City.of`


class City(msgspec.Struct, frozen=True):
    """The whole city. The seed decides both how it looks and what happens in it."""

    seed: int
    gateways: tuple[Gateway, ...]

    @classmethod
    def demo(cls, seed: int = 1) -> City:
        """Two gateways, 40 bays (16 on one RS-485 bus), 30 bins (10 on UARTs), 2 WiFi corners,
        instruments of every other kind, and a terminal for each zone with bays."""
        return _build(seed, _DEMO)

    @classmethod
    def of(cls, seed: int = 1, *, bays: int, bins: int, corners: int = 2) -> City:
        """A city of that many devices: two bays in five on a bus, one bin in three on a UART."""
        count = max(1, math.ceil((bays + bins + corners) / _GATEWAY_DEVICES))
        wired, uarts = bays * 2 // 5, bins // 3
        columns = (wired, bays - wired, uarts, bins - uarts, corners)
        split = [[_part(total, nth, count) for total in columns] for nth in range(count)]
        shares = tuple(Share(a, b, c, d, e) for a, b, c, d, e in split)
        return _build(seed, shares)

    def without_terminals(self) -> City:
        """The same city, in which nobody tells of payments."""
        replace = msgspec.structs.replace
        return City(self.seed, tuple(replace(one, terminals=()) for one in self.gateways))

    @property
    def bays(self) -> tuple[Bay, ...]:
        return tuple(bay for gateway in self.gateways for bay in gateway.bays)

    @property
    def bins(self) -> tuple[Bin, ...]:
        return tuple(one for gateway in self.gateways for one in gateway.bins)

    @property
    def corners(self) -> tuple[Corner, ...]:
        return tuple(corner for gateway in self.gateways for corner in gateway.corners)

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        return tuple(one for gateway in self.gateways for one in gateway.instruments)

    @property
    def devices(self) -> tuple[Placed, ...]:
        return tuple(one for gateway in self.gateways for one in gateway.devices)


def _part(total: int, nth: int, count: int) -> int:
    return total * (nth + 1) // count - total * nth // count


def _build(seed: int, shares: tuple[Share, ...]) -> City:
    """Names are numbered through the whole city: a device belongs to one gateway."""
    gateways: list[Gateway] = []
    bay = bin_ = corner = 1
    numbers: Counter[str] = Counter()  # of instruments, a kind
    for nth, share in enumerate(shares):
        stem, site = SITES[nth % len(SITES)]
        name = f"{stem}-{nth // len(SITES) + 1:02d}"
        around = Gateway(name, site, f"Gateway {site.label}", site.zones[0].start)
        bays = share.wired_bays + share.radio_bays
        bins = share.uart_bins + share.radio_bins
        parking = tuple(_bay(around, share, n, bay + n) for n in range(bays))
        gateways.append(
            msgspec.structs.replace(
                around,
                bays=parking,
                bins=tuple(_bin(seed, around, share, n, bin_ + n) for n in range(bins)),
                corners=tuple(_corner(around, n, corner + n) for n in range(share.corners)),
                instruments=_instruments(around, share, numbers),
                terminals=_terminals(around, parking, numbers) if share.paid else (),
            )
        )
        bay, bin_, corner = bay + bays, bin_ + bins, corner + share.corners
    return City(seed, tuple(gateways))


def _bay(gateway: Gateway, share: Share, nth: int, number: int) -> Bay:
    """Wired bays stand in two rows under the market's shed, the others along all zones."""
    name, zones = f"bay-{number:02d}", gateway.site.zones
    if nth < share.wired_bays:
        bus, unit = divmod(nth, UNITS_A_BUS)
        row, column = divmod(nth, max(1, share.wired_bays // 2))
        aside = zones[0].start.moved(11 * (row % 2) + 40 * (row // 2), zones[0].bearing_deg + 90)
        place = aside.moved(3 + 2.6 * column, zones[0].bearing_deg)
        port = f"ttyBUS-{gateway.name}" + (f"-{bus + 1}" if bus else "")
        label = f"Petak {number}, {zones[0].label}"
        return Bay(
            name=name,
            zone=zones[0],
            label=label,
            place=place,
            driver=BUS_BAY,
            vehicle="car",
            unit=unit + 1,
            bus=port,
        )
    nth -= share.wired_bays
    zone, along = zones[(1, 0, 1, 2)[nth % 4]], nth // 4
    vehicle: Literal["car", "motorcycle"] = "motorcycle" if nth % 3 == 2 else "car"
    place = zone.start.moved(12 + 11.5 * along + 5.5 * (nth % 4 == 2), zone.bearing_deg)
    place = place.moved(-14 if zone.character is Character.MARKET else 4, zone.bearing_deg + 90)
    label = f"Petak {number}, {zone.label}"
    return Bay(
        name=name,
        zone=zone,
        label=label,
        place=place,
        driver=RADIO_BAY,
        vehicle=vehicle,
        dev_eui=eui_of(name, _BAY_OUI),
    )


def _bin(seed: int, gateway: Gateway, share: Share, nth: int, number: int) -> Bin:
    """Big containers at the market, wheeled bins along the streets (§2, bins)."""
    name, zones = f"bin-{number:02d}", gateway.site.zones
    zone, along = zones[nth % 3], nth // 3
    if zone.character is Character.MARKET:
        litres, outer_mm = ((660.0, 1_200.0), (1_100.0, 1_325.0))[along % 2]
        taper = 1.0
    else:
        litres, outer_mm = ((240.0, 1_070.0), (120.0, 930.0))[along % 4 == 3]
        taper = WHEELED_TAPER
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
        full_mm=FULL_MM,
        taper=taper,
        uart=f"ttyUART-{name}" if nth < share.uart_bins else "",
        dev_eui="" if nth < share.uart_bins else eui_of(name, _BIN_OUI),
    )


def _corner(gateway: Gateway, nth: int, number: int) -> Corner:
    zone = gateway.site.zones[nth % 3]
    place = zone.start.moved(18 + 40 * (nth // 3), zone.bearing_deg + 20)
    label = f"WiFi gratis {number}, {zone.label}"
    return Corner(name=f"wifi-{number:02d}", zone=zone, label=label, place=place)


def _terminals(
    gateway: Gateway, bays: tuple[Bay, ...], numbers: Counter[str]
) -> tuple[Terminal, ...]:
    """One for each zone with bays, at its corner."""
    made = []
    for zone in gateway.site.zones:
        paid = tuple(bay.name for bay in bays if bay.zone == zone)
        if paid:
            numbers["terminal"] += 1
            name = f"terminal-{numbers['terminal']:02d}"
            label = f"Terminal parkir {numbers['terminal']}, {zone.label}"
            place = zone.start.moved(9, zone.bearing_deg - 90)
            topic = f"payments/{gateway.name}/{name}"
            made.append(Terminal(name, zone, label, place, topic, paid))
    return tuple(made)


def _instruments(gateway: Gateway, share: Share, numbers: Counter[str]) -> tuple[Instrument, ...]:
    made = []
    for nth, name in enumerate(share.instruments):
        driver = load_driver(name)
        numbers[driver.kind] += 1
        made.append(instrument(gateway, driver, nth, numbers[driver.kind]))
    return tuple(made)


def instrument(gateway: Gateway, driver: Driver, nth: int, number: int) -> Instrument:
    """A device of any other kind."""
    zone = gateway.site.zones[nth % 3]
    stem, label = INSTRUMENTS[driver.kind]
    name = f"{stem}-{number:02d}"
    place = zone.start.moved(30 + 22 * (nth // 3), zone.bearing_deg)
    return Instrument(
        name=name,
        zone=zone,
        label=f"{label} {number}, {zone.label}",
        place=place.moved(6, zone.bearing_deg - 90),
        driver=driver.name,
        **reached(driver, name, f"{gateway.name}-{name}"),
    )


def reached(driver: Driver, name: str, port: str) -> dict[str, Any]:
    """How a device that shares nothing with another is reached: on a bus or a port of its own, or
    by radio."""
    link = driver.link
    if isinstance(link, ModbusLink):
        return {"unit": 1, "node": 0 if link.stride else None, "bus": f"ttyBUS-{port}"}
    if isinstance(link, UartLink):
        return {"uart": f"ttyUART-{name}"}
    return {"dev_eui": eui_of(name)} if isinstance(link, LorawanLink) else {}


def eui_of(name: str, oui: str = "70b3d5") -> str:
    """A device's LoRaWAN identity, by its name."""
    return oui + hashlib.sha256(name.encode()).hexdigest()[:10]
