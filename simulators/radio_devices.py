"""LoRaWAN devices: when each speaks, what it says, and how well it is heard.

A device says its state when it joins, at each change it notices, and at its heartbeat. The envelope
carries the city time at which it spoke, so the same seed gives the same uplinks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec

from devices.chirpstack import Uplink, radio_fields
from devices.driver import Driver, load_driver
from devices.reading import Value, Values
from simulators.city import BAY_HEARTBEAT_S, Bay, Bin
from simulators.local_time import HOUR_MS
from simulators.parking import ParkingBay
from simulators.seeds import Jitter, generator
from simulators.truth import speak
from simulators.waste import WasteBin
from simulators.weather import Weather

DETECTION_S = 3.0  # a parking sensor needs so long (§1, nwave)
DETECTION_SPREAD_S = 1.5  # and the network a little more [I]
JOIN_SPREAD_S = 20.0  # after a start all devices speak once within this [I]
RSSI_SD_DB = 3.0  # a fixed node [C:med]
FIRMWARE = {"bosch_tps110": "0.29.2", "milesight_em400": "1.14"}
ASPHALT_C = 3.0  # a sensor in the ground is warmer than the air [I]
BATTERY_A_DAY = 0.0003  # about nine years [I]


class Spot(msgspec.Struct, frozen=True):
    """How a device's place is covered: share of devices, delivery ratio, radio medians."""

    share: float
    delivered: float
    rssi_dbm: float
    snr_db: float
    spreading_factor: int
    gateways: int


SPOTS = (  # delivery 95 near, 85 edge, 60 % bad [I, south, flood]; RSSI and SNR [C:med], SF [I]
    Spot(0.70, 0.95, -78.0, 8.5, 7, 2),
    Spot(0.25, 0.85, -104.0, 1.5, 9, 1),
    Spot(0.05, 0.60, -117.0, -11.0, 12, 1),
)


class Transmission(msgspec.Struct, frozen=True):
    """One uplink, with what it says and whether a radio gateway hears it."""

    uplink: Uplink
    fields: dict[str, Value]
    heard: bool


class Voice(Protocol):
    """What one sort of device has to say."""

    heartbeat_s: float

    def news(self, after_ms: int, to_ms: int) -> list[int]:
        """Moments in (after, to] at which it notices a change."""
        ...

    def says(self, time_ms: int, event: bool) -> Values:
        """Its state at that moment."""
        ...


class BayVoice:
    """A magnetic parking sensor."""

    heartbeat_s = BAY_HEARTBEAT_S

    def __init__(self, bay: ParkingBay, weather: Weather, lag_ms: int) -> None:
        self._bay, self._weather, self._lag_ms = bay, weather, lag_ms

    def news(self, after_ms: int, to_ms: int) -> list[int]:
        lag = self._lag_ms
        return [moment + lag for moment, _ in self._bay.changes(after_ms - lag, to_ms - lag)]

    def says(self, time_ms: int, event: bool) -> Values:
        fields: dict[str, Value] = {"occupied": self._bay.occupied(time_ms - self._lag_ms)}
        if not event:
            fields["temperature_c"] = self._weather.temperature_c(time_ms) + ASPHALT_C
        return Values(fields, event=event)


class BinVoice:
    """A distance sensor under a lid, with temperature, position and battery."""

    def __init__(self, bin_: WasteBin, heartbeat_s: float, battery: float, start_ms: int) -> None:
        self._bin, self.heartbeat_s = bin_, heartbeat_s
        self._battery, self._start_ms = battery, start_ms

    def news(self, after_ms: int, to_ms: int) -> list[int]:
        return [moment for moment, _ in self._bin.changes(after_ms, to_ms)]

    def says(self, time_ms: int, event: bool) -> Values:
        used = BATTERY_A_DAY * (time_ms - self._start_ms) / (24 * HOUR_MS)
        fields: dict[str, Value] = {
            "battery_level": max(0.0, self._battery - used),
            "temperature_c": self._bin.temperature_c(time_ms),
            "distance_mm": self._bin.distance_mm(time_ms),
            "status": self._bin.status(time_ms),
        }
        return Values(fields, event=event)


class RadioDevice:
    """One LoRaWAN device: `transmissions` is everything it will ever send, in order."""

    def __init__(self, seed: int, name: str, dev_eui: str, driver: Driver, voice: Voice) -> None:
        self.name, self.dev_eui, self.driver = name, dev_eui, driver
        self._voice = voice
        self._draws = generator(seed, name, "radio")
        self._jitter = Jitter(seed, name, "radio")
        self._spot = _spot(float(self._draws.random()))
        self._counter = 0

    def transmissions(self, start_ms: int) -> Iterator[Transmission]:
        """Endless, from its join soon after `start_ms` on; each has a later millisecond than the
        one before."""
        last_ms = start_ms + int(1000 * JOIN_SPREAD_S * float(self._draws.random()))
        firmware = FIRMWARE.get(self.driver.name)
        joined = self._voice.says(last_ms, event=False)
        if firmware:
            joined = Values({**joined.fields, "firmware": firmware})
        yield self._transmit(last_ms, joined)
        for moment, event in self._moments(last_ms):
            last_ms = max(moment, last_ms + 1)
            yield self._transmit(last_ms, self._voice.says(last_ms, event))

    def _moments(self, after_ms: int) -> Iterator[tuple[int, bool]]:
        """News and heartbeats, hour by hour."""
        period_ms = int(1000 * self._voice.heartbeat_s)
        heartbeat_ms = after_ms + int(period_ms * float(self._draws.uniform(0.2, 1.0)))
        while True:
            to_ms = after_ms + HOUR_MS
            moments = [(moment, True) for moment in self._voice.news(after_ms, to_ms)]
            while heartbeat_ms <= to_ms:
                moments.append((heartbeat_ms, False))
                heartbeat_ms += period_ms
            yield from sorted(moments)
            after_ms = to_ms

    def _transmit(self, time_ms: int, values: Values) -> Transmission:
        spoken = speak(self.driver, values)
        spot, jitter = self._spot, self._jitter
        uplink = Uplink(
            dev_eui=self.dev_eui,
            f_port=spoken.payload.port,
            data=spoken.payload.data,
            time_ms=time_ms,
            rssi_dbm=float(round(spot.rssi_dbm + RSSI_SD_DB * jitter.normal(time_ms))),
            snr_db=round(spot.snr_db + jitter.normal(time_ms + 1), 1),
            spreading_factor=spot.spreading_factor,
            frame_counter=self._counter,
            gateways_heard=spot.gateways,
        )
        self._counter += 1
        heard = float(self._draws.random()) < spot.delivered
        return Transmission(uplink, {**spoken.fields, **radio_fields(uplink)}, heard)


def radio_bay(seed: int, bay: Bay, history: ParkingBay, weather: Weather) -> RadioDevice:
    """The device on a bay."""
    spread = float(generator(seed, bay.name, "lag").random())
    lag_ms = int(1000 * (DETECTION_S + DETECTION_SPREAD_S * spread))
    voice = BayVoice(history, weather, lag_ms)
    return RadioDevice(seed, bay.name, bay.dev_eui, load_driver(bay.driver), voice)


def radio_bin(seed: int, bin_: Bin, history: WasteBin, start_ms: int) -> RadioDevice:
    """The device under a bin's lid."""
    driver = load_driver(bin_.driver)
    battery = float(generator(seed, bin_.name, "battery").uniform(0.55, 1.0))
    voice = BinVoice(history, driver.heartbeat_s, battery, start_ms)
    return RadioDevice(seed, bin_.name, bin_.dev_eui, driver, voice)


def _spot(share: float) -> Spot:
    for spot in SPOTS[:-1]:
        share -= spot.share
        if share < 0:
            return spot
    return SPOTS[-1]
