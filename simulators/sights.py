"""What there is to see at a device's place, in the words of its kind, whatever its model can say.

In: the world's histories. Out: a `Sight` for each device: every field of its kind that a sensor
could tell at a moment, when something happens that a sensor would call news, and what is really
there (`actual`), which no sensor knows.
"""

from __future__ import annotations

from typing import Protocol

from devices.reading import Value
from simulators import local_time
from simulators.city import Placed
from simulators.instruments import POWER_FACTOR, Passers, River, Soil, StreetLights
from simulators.local_time import DAY_MS, MINUTE_MS
from simulators.parking import ParkingBay
from simulators.seeds import Jitter, generator
from simulators.waste import WasteBin
from simulators.weather import Weather
from simulators.wifi import WifiCorner

DETECTION_S = 3.0  # a parking sensor needs so long (§1, nwave)
DETECTION_SPREAD_S = 1.5  # and the network a little more [I]
ASPHALT_C = 3.0  # a sensor in the ground is warmer than the air [I]
BATTERY_A_DAY = 0.0003  # about nine years [I]
CELL_V = 3.6  # lithium thionyl chloride, flat until its end (§4 [linden])
PERIOD_MS = 10 * MINUTE_MS  # what counters of "since last told" cover [I]
EARTH_UT = (38.5, 0.4, -16.5)  # the earth's field at Aceh: 42 µT, dipping 23° south [M]
VEHICLE_UT = {"car": (14.0, 9.0, 26.0), "motorcycle": (6.0, 5.0, 11.0)}  # under one [I]
FIELD_NOISE_UT, FIELD_A_KELVIN = 0.3, 0.15  # of a common magnetoresistor [I]

Fields = dict[str, Value]


class Sight(Protocol):
    """One device's place."""

    def fields(self, time_ms: int) -> Fields:
        """All that a sensor of the kind could say, with its own noise."""
        ...

    def actual(self, time_ms: int) -> Fields:
        """What is really there: the kind's state, free of any sensor."""
        ...

    def news(self, after_ms: int, to_ms: int) -> list[int]:
        """Moments in (after, to] at which a sensor would speak unasked."""
        ...


class Cell:
    """A device's battery; nothing else of a device lives as long."""

    def __init__(self, seed: int, name: str, start_ms: int) -> None:
        self._level = float(generator(seed, name, "battery").uniform(0.55, 1.0))
        self._start_ms = start_ms

    def fields(self, time_ms: int) -> Fields:
        used = BATTERY_A_DAY * max(0, time_ms - self._start_ms) / DAY_MS
        level = max(0.0, self._level - used)
        return {"battery_level": level, "battery_v": CELL_V - 0.4 * max(0.0, 0.1 - level) / 0.1}


class BaySight:
    """A bay: a magnetic sensor's belief, the distance from above, and the raw field."""

    def __init__(
        self, seed: int, bay: Placed, history: ParkingBay, weather: Weather, cell: Cell
    ) -> None:
        spread = float(generator(seed, bay.name, "lag").random())
        self._lag_ms = int(1000 * (DETECTION_S + DETECTION_SPREAD_S * spread))
        self._bay, self._weather, self._cell = history, weather, cell
        vehicle = VEHICLE_UT[getattr(bay, "vehicle", "car")]
        draws = generator(seed, bay.name, "magnet")
        self._vehicle_ut = [part * float(draws.uniform(0.7, 1.5)) for part in vehicle]
        self._jitter = Jitter(seed, bay.name, "magnet")

    def fields(self, time_ms: int) -> Fields:
        seen_ms = time_ms - self._lag_ms
        fields: Fields = {
            **self._cell.fields(time_ms),
            "occupied": self._bay.occupied(seen_ms),
            "distance_mm": self._bay.distance_mm(time_ms),
            "temperature_c": self._weather.temperature_c(time_ms) + ASPHALT_C,
            "tilt_deg": 0.0,
            "vehicle_count": self._bay.stays(_midnight(time_ms), time_ms),
            "previous_state_s": self._bay.previous_state_s(seen_ms),
        }
        return fields | self._field(time_ms)

    def actual(self, time_ms: int) -> Fields:
        return {"occupied": int(self._bay.is_taken(time_ms))}

    def news(self, after_ms: int, to_ms: int) -> list[int]:
        lag = self._lag_ms
        return [moment + lag for moment, _ in self._bay.changes(after_ms - lag, to_ms - lag)]

    def _field(self, time_ms: int) -> Fields:
        taken = self._bay.is_taken(time_ms)
        warm = FIELD_A_KELVIN * (self._weather.temperature_c(time_ms) - 28.5)
        said: Fields = {}
        for nth, axis in enumerate("xyz"):
            bent = self._vehicle_ut[nth] if taken else 0.0
            noise = FIELD_NOISE_UT * self._jitter.normal(time_ms + nth)
            said[f"magnetic_{axis}_ut"] = EARTH_UT[nth] + bent + warm + noise
        return said


class BinSight:
    """A bin: distance, level, lid, heat."""

    def __init__(self, bin_: Placed, history: WasteBin, cell: Cell) -> None:
        self._bin, self._cell, self._place = history, cell, bin_.place
        self._distance_mm = history.burst_mm if bin_.dev_eui else history.distance_mm

    def fields(self, time_ms: int) -> Fields:
        return {
            **self._cell.fields(time_ms),
            "distance_mm": self._distance_mm(time_ms),
            "filling_level": self._bin.fill(time_ms),
            "temperature_c": self._bin.temperature_c(time_ms),
            "probe_temperature_c": self._bin.temperature_c(time_ms),
            "status": self._bin.status(time_ms),
            "tilt_deg": 0.0,
            "latitude_deg": self._place.latitude,
            "longitude_deg": self._place.longitude,
        }

    def actual(self, time_ms: int) -> Fields:
        return {"filling_level": round(self._bin.fill(time_ms), 4)}

    def news(self, after_ms: int, to_ms: int) -> list[int]:
        return [moment for moment, _ in self._bin.changes(after_ms, to_ms)]


class CornerSight:
    """A WiFi corner, as its access point sees it."""

    def __init__(self, history: WifiCorner) -> None:
        self._corner = history

    def fields(self, time_ms: int) -> Fields:
        received, sent = self._corner.traffic(time_ms)
        return {
            "up": 1,
            "clients": self._corner.clients(time_ms),
            "channel_utilization": self._corner.channel_utilization(time_ms),
            "rx_bytes": received,
            "tx_bytes": sent,
            "uptime_s": self._corner.uptime_s(time_ms),
        }

    def actual(self, time_ms: int) -> Fields:
        return {"clients": self._corner.clients(time_ms)}

    def news(self, after_ms: int, to_ms: int) -> list[int]:
        return []


class PassersSight:
    """A counter of people or vehicles."""

    def __init__(self, history: Passers, weather: Weather, cell: Cell, main: str) -> None:
        self._passers, self._weather, self._cell, self._main = history, weather, cell, main

    def fields(self, time_ms: int) -> Fields:
        passers, before = self._passers, time_ms - PERIOD_MS
        midnight = _midnight(time_ms)
        inside = passers.inside(time_ms)
        return {
            **self._cell.fields(time_ms),
            "people_count": inside,
            "people_count_max": passers.most_inside(before, time_ms),
            "people_in": passers.came(midnight, time_ms),
            "people_out": passers.went(midnight, time_ms),
            "period_in": passers.came(before, time_ms),
            "period_out": passers.went(before, time_ms),
            "vehicle_count": passers.came(midnight, time_ms),
            "occupied": int(inside > 0),
            "temperature_c": self._weather.temperature_c(time_ms),
            "relative_humidity": self._weather.humidity(time_ms),
        }

    def actual(self, time_ms: int) -> Fields:
        return {self._main: self.fields(time_ms)[self._main]}

    def news(self, after_ms: int, to_ms: int) -> list[int]:
        return []


class AirSight:
    """The air of a place."""

    def __init__(self, seed: int, name: str, weather: Weather, passers: Passers, cell: Cell):
        self._weather, self._passers, self._cell = weather, passers, cell
        self._jitter = Jitter(seed, name, "air")

    def fields(self, time_ms: int) -> Fields:
        minute = time_ms // MINUTE_MS
        crowd = self._passers.inside(time_ms)
        day = max(0.0, 1 - abs(local_time.hour_of(time_ms) - 12.4) / 6.2)
        cloud = 0.2 if self._weather.is_raining(time_ms) else 1.0
        return {
            **self._cell.fields(time_ms),
            "temperature_c": self._weather.temperature_c(time_ms),
            "relative_humidity": self._weather.humidity(time_ms),
            "atmospheric_pressure_hpa": 1009.0 + 1.5 * self._jitter.normal(minute // 60),
            "illuminance_lux": 60_000 * day * cloud,
            "co2_ppm": 425.0 + 2.0 * crowd + 5 * abs(self._jitter.normal(minute)),
            "tvoc_ppb": 60.0 + 1.5 * crowd,
            "sound_peak_db": 68.0 + 8 * abs(self._jitter.normal(minute + 1)),
            "sound_average_db": 52.0 + min(14.0, 0.2 * crowd),
            "motions": min(255, self._passers.came(time_ms - PERIOD_MS, time_ms)),
            "occupied": int(crowd > 0),
        }

    def actual(self, time_ms: int) -> Fields:
        return {"temperature_c": round(self._weather.temperature_c(time_ms), 2)}

    def news(self, after_ms: int, to_ms: int) -> list[int]:
        return []


class MeterSight:
    """An energy meter on street lights."""

    def __init__(self, history: StreetLights) -> None:
        self._lights = history

    def fields(self, time_ms: int) -> Fields:
        power_w, voltage_v = self._lights.power_w(time_ms), self._lights.voltage_v(time_ms)
        return {
            "active_power_w": power_w,
            "active_energy_wh": float(int(self._lights.energy_wh(time_ms))),
            "voltage_v": voltage_v,
            "current_a": power_w / voltage_v / POWER_FACTOR,
            "frequency_hz": self._lights.frequency_hz(time_ms),
            "power_factor": POWER_FACTOR,
            "power_alarm": 0,
        }

    def actual(self, time_ms: int) -> Fields:
        return {"active_power_w": round(self._lights.power_w(time_ms), 1)}

    def news(self, after_ms: int, to_ms: int) -> list[int]:
        return []


class RiverSight:
    """A gauge under a bridge."""

    def __init__(self, history: River, weather: Weather, cell: Cell) -> None:
        self._river, self._weather, self._cell = history, weather, cell

    def fields(self, time_ms: int) -> Fields:
        return {
            **self._cell.fields(time_ms),
            "distance_mm": self._river.distance_mm(time_ms),
            "level_m": self._river.level_m(time_ms),
            "temperature_c": self._weather.temperature_c(time_ms),
        }

    def actual(self, time_ms: int) -> Fields:
        return {"level_m": round(self._river.level_m(time_ms), 3)}

    def news(self, after_ms: int, to_ms: int) -> list[int]:
        return []


class SoilSight:
    """Rods in a bed."""

    def __init__(self, history: Soil, cell: Cell) -> None:
        self._soil, self._cell = history, cell

    def fields(self, time_ms: int) -> Fields:
        return {
            **self._cell.fields(time_ms),
            "soil_moisture_vwc": self._soil.measured_vwc(time_ms),
            "soil_temperature_c": self._soil.temperature_c(time_ms),
            "soil_conductivity_us_cm": self._soil.conductivity_us_cm(time_ms),
        }

    def actual(self, time_ms: int) -> Fields:
        return {"soil_moisture_vwc": round(self._soil.moisture_vwc(time_ms), 4)}

    def news(self, after_ms: int, to_ms: int) -> list[int]:
        return []


def _midnight(time_ms: int) -> int:
    return local_time.day_start(local_time.day_of(time_ms))
