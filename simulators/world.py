"""The simulated world: what happens in a city, on city time, without any IO.

    world = World(City.demo(seed=1), start_ms)
    world.bay("bay-07").occupied(t)                   the state at a moment
    world.bin("bin-03").levels(t0, t1)                what changed in (t0, t1]

Nothing runs here: each thing's history is made day by day when it is asked for, from a seed of its
own, so that asking often, seldom, or for another thing first gives the same city.
"""

from __future__ import annotations

from devices.driver import load_driver
from devices.kinds import KINDS
from simulators import local_time
from simulators.city import (
    GAUGE_EMPTY_MM,
    Bay,
    Bin,
    City,
    Corner,
    Gateway,
    Instrument,
    Placed,
)
from simulators.instruments import PEOPLE_A_DAY, VEHICLES_A_DAY, Passers, River, Soil, StreetLights
from simulators.parking import Demand, ParkingBay
from simulators.sights import (
    AirSight,
    BaySight,
    BinSight,
    Cell,
    CornerSight,
    MeterSight,
    PassersSight,
    RiverSight,
    Sight,
    SoilSight,
)
from simulators.streets import Site, Zone
from simulators.waste import WasteBin
from simulators.weather import Weather
from simulators.wifi import WifiCorner

DAYS_BEFORE = 4
"""A history begins so long before the city does, so that bins and stays are in full swing."""


class World:
    """Every bay, bin, corner and instrument of a city, by name.

    Args:
        city: what there is.
        start_ms: city time from which on anybody looks.
    """

    def __init__(self, city: City, start_ms: int) -> None:
        self.city = city
        self._first_day = local_time.day_of(start_ms) - DAYS_BEFORE
        self._weather: dict[str, Weather] = {}
        self._demands: dict[tuple[str, str], Demand] = {}
        self._bays: dict[str, ParkingBay] = {}
        self._bins: dict[str, WasteBin] = {}
        self._corners: dict[str, WifiCorner] = {}
        self._start_ms = start_ms
        self._sights: dict[str, Sight] = {}
        for gateway in city.gateways:
            self._settle(gateway)

    def bay(self, name: str) -> ParkingBay:
        return self._bays[name]

    def bin(self, name: str) -> WasteBin:
        return self._bins[name]

    def corner(self, name: str) -> WifiCorner:
        return self._corners[name]

    def sight(self, name: str) -> Sight:
        """What there is to see where that device stands."""
        return self._sights[name]

    def weather(self, site: str) -> Weather:
        return self._weather[site]

    def demand(self, site: str, zone: str) -> Demand:
        return self._demands[site, zone]

    def _settle(self, gateway: Gateway) -> None:
        seed, site = self.city.seed, gateway.site
        weather = self._weather.setdefault(site.name, Weather(seed, site.name, self._first_day))
        for zone in site.zones:
            demand = Demand(seed, site.name, zone, weather)
            self._demands.setdefault((site.name, zone.name), demand)
        for bay in gateway.bays:
            self._bays[bay.name] = self._parking(bay, site, bay.zone)
            parked = self._bays[bay.name]
            self._sights[bay.name] = BaySight(seed, bay, parked, weather, self._cell(bay))
        for bin_ in gateway.bins:
            self._bins[bin_.name] = self._waste(bin_, site, weather)
            waste = self._bins[bin_.name]
            self._sights[bin_.name] = BinSight(bin_, waste, self._cell(bin_))
        for corner in gateway.corners:
            self._corners[corner.name] = self._wifi(corner, weather)
            self._sights[corner.name] = CornerSight(self._corners[corner.name])
        for one in gateway.instruments:
            self._sights[one.name] = self._instrument(one, weather)

    def _instrument(self, one: Instrument, weather: Weather) -> Sight:
        seed, kind, cell = self.city.seed, load_driver(one.driver).kind, self._cell(one)
        character, first_day = one.zone.character, self._first_day
        if kind == "energy_meter":
            return MeterSight(StreetLights(seed, one.name, first_day))
        if kind == "water_level":
            return RiverSight(
                River(seed, one.name, weather, GAUGE_EMPTY_MM, first_day), weather, cell
            )
        if kind == "soil_moisture":
            return SoilSight(Soil(seed, one.name, weather, first_day), cell)
        vehicles = kind == "traffic_counter"
        a_day = VEHICLES_A_DAY if vehicles else PEOPLE_A_DAY[character]
        passers = Passers(seed, one.name, character, a_day, weather, first_day, stay=not vehicles)
        if kind == "environment":
            return AirSight(seed, one.name, weather, passers, cell)
        return PassersSight(passers, weather, cell, KINDS[kind].state)

    def _cell(self, one: Placed) -> Cell:
        return Cell(self.city.seed, one.name, self._start_ms)

    def _parking(self, bay: Bay, site: Site, zone: Zone) -> ParkingBay:
        demand = self._demands[site.name, zone.name]
        return ParkingBay(self.city.seed, bay, demand, self._first_day)

    def _waste(self, bin_: Bin, site: Site, weather: Weather) -> WasteBin:
        return WasteBin(self.city.seed, bin_, site, weather, self._first_day)

    def _wifi(self, corner: Corner, weather: Weather) -> WifiCorner:
        return WifiCorner(self.city.seed, corner, weather, self._first_day)
