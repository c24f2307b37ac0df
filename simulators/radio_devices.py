"""LoRaWAN devices: when each speaks, and how well it is heard.

A device says its state when it joins, at each change it notices, and at its heartbeat. The envelope
carries the city time at which it spoke, so the same seed gives the same uplinks.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from devices.driver import Driver
from devices.envelope import Uplink, radio_fields
from devices.reading import Value
from simulators.ailments import WRONG_CLOCK_MS
from simulators.city import BAY_HEARTBEAT_S, Placed
from simulators.faults import NO_FAULTS, Faults
from simulators.local_time import HOUR_MS
from simulators.seeds import Jitter, generator
from simulators.sights import Sight
from simulators.truth import How, Row
from simulators.voices import Said, Voice

JOIN_SPREAD_S = 20.0  # after a start all devices speak once within this [I]
RSSI_SD_DB = 3.0  # a fixed node [C:med]
FIRMWARE = {"bosch_tps110": "0.29.2", "milesight_em400": "1.14"}


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
    said: Said
    heard: bool
    spoken_ms: int
    """City time; the uplink's own time is the network server's, which may be wrong."""

    @property
    def fields(self) -> dict[str, Value]:
        """What a reader makes of it, radio facts included."""
        return {**self.said.fields, **radio_fields(self.uplink)} if self.said.fields else {}


def radio_heartbeat_s(driver: Driver) -> float:
    """How often this city's devices report at least: as delivered, but once an hour."""
    return min(driver.heartbeat_s, BAY_HEARTBEAT_S)


class RadioDevice:
    """One LoRaWAN device: `transmissions` is everything it will ever send, in order."""

    def __init__(self, seed: int, placed: Placed, sight: Sight, faults: Faults = NO_FAULTS) -> None:
        self.name, self.dev_eui = placed.name, placed.dev_eui
        self._voice = Voice(seed, placed, sight, faults)
        self.driver = self._voice.driver
        self._draws = generator(seed, placed.name, "radio")
        self._jitter = Jitter(seed, placed.name, "radio")
        self._spot = _spot(float(self._draws.random()))
        self._counter = 0

    def transmissions(self, start_ms: int) -> Iterator[Transmission]:
        """Endless, from its join soon after `start_ms` on; each has a later millisecond than the
        one before."""
        last_ms = start_ms + int(1000 * JOIN_SPREAD_S * float(self._draws.random()))
        firmware = FIRMWARE.get(self.driver.name, "")
        yield self._transmit(last_ms, self._voice.says(last_ms, firmware=firmware))
        for moment, event in self._moments(last_ms):
            last_ms = max(moment, last_ms + 1)
            yield self._transmit(last_ms, self._voice.says(last_ms, event=event))

    def row(self, sent: Transmission, how: How, fault: str = "") -> Row:
        """The truth row of a transmission."""
        row = self._voice.row(sent.said, how, sent.uplink.time_ms, fault)
        return msgspec.structs.replace(row, fields=sent.fields)

    def _moments(self, after_ms: int) -> Iterator[tuple[int, bool]]:
        """News and heartbeats, hour by hour."""
        period_ms = int(1000 * radio_heartbeat_s(self.driver))
        heartbeat_ms = after_ms + int(period_ms * float(self._draws.uniform(0.2, 1.0)))
        while True:
            to_ms = after_ms + HOUR_MS
            moments = [(moment, True) for moment in self._voice.sight.news(after_ms, to_ms)]
            while heartbeat_ms <= to_ms:
                moments.append((heartbeat_ms, False))
                heartbeat_ms += period_ms
            yield from sorted(moments)
            after_ms = to_ms

    def _transmit(self, time_ms: int, said: Said) -> Transmission:
        spot, jitter = self._spot, self._jitter
        wrong_ms = WRONG_CLOCK_MS if said.ailment == "clock_wrong" else 0
        uplink = Uplink(
            dev_eui=self.dev_eui,
            f_port=said.payload.port,
            data=said.payload.data,
            time_ms=time_ms + wrong_ms,
            rssi_dbm=float(round(spot.rssi_dbm + RSSI_SD_DB * jitter.normal(time_ms))),
            snr_db=round(spot.snr_db + jitter.normal(time_ms + 1), 1),
            spreading_factor=spot.spreading_factor,
            frame_counter=self._counter,
            gateways_heard=spot.gateways,
        )
        self._counter += 1
        heard = float(self._draws.random()) < spot.delivered
        return Transmission(uplink, said, heard, time_ms)


def _spot(share: float) -> Spot:
    for spot in SPOTS[:-1]:
        share -= spot.share
        if share < 0:
            return spot
    return SPOTS[-1]
