"""Trains the dictionaries that batches and messages are compressed with.

    python -m wire.train ID batches
    python -m wire.train ID messages

In: nothing but a seed; the samples are invented readings of every kind, with many names, so that
the dictionary learns the kinds and not one city. Out: `wire/dictionaries/<ID>.zdict`. A dictionary
that has been shipped is never trained again under the same number.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import zstandard

from devices.driver import driver_names, load_driver
from devices.kinds import KINDS, Field, FieldType, Kind
from devices.reading import Reading, Value
from wire.line import format_line
from wire.messages import (
    Inventory,
    InventoryDevice,
    Ledger,
    LinkStatus,
    Place,
    Status,
    encode_message,
)

DICTIONARY_BYTES = 16 * 1024
SAMPLES = 6000
TRAINING_LEVEL = 19
_PREFIXES = {
    "parking_spot": "bay",
    "waste_container": "bin",
    "wifi_access_point": "wifi",
    "people_counter": "people",
    "traffic_counter": "traffic",
    "environment": "air",
    "energy_meter": "meter",
    "water_level": "river",
    "soil_moisture": "soil",
}
_USUAL = {
    "distance_mm": (150.0, 2600.0, 0),
    "temperature_c": (23.0, 38.0, 1),
    "relative_humidity": (0.4, 1.0, 3),
    "soil_moisture_vwc": (0.05, 0.5, 4),
    "soil_temperature_c": (24.0, 34.0, 2),
    "soil_conductivity_us_cm": (50.0, 1500.0, 0),
    "battery_v": (3.3, 3.7, 2),
    "battery_level": (0.2, 1.0, 2),
    "rssi_dbm": (-120.0, -60.0, 0),
    "snr_db": (-15.0, 12.0, 1),
    "filling_level": (0.0, 1.0, 4),
    "latency_ms": (1.0, 60.0, 2),
    "dns_ms": (5.0, 40.0, 2),
    "loss_ratio": (0.0, 0.0, 0),
    "channel_utilization": (0.05, 0.7, 4),
    "noise_dbm": (-100.0, -85.0, 0),
    "uptime_s": (100.0, 3e6, 0),
    "active_power_w": (0.0, 3000.0, 0),
    "current_a": (0.0, 15.0, 3),
    "frequency_hz": (49.8, 50.2, 1),
    "power_factor": (0.8, 1.0, 2),
    "voltage_v": (215.0, 235.0, 1),
    "level_m": (0.5, 3.0, 3),
    "illuminance_lux": (0.0, 9000.0, 0),
    "latitude_deg": (4.5, 6.0, 5),
    "longitude_deg": (95.0, 98.0, 5),
}
_COUNTS = {
    "occupied": (0, 1),
    "up": (1, 1),
    "spreading_factor": (7, 10),
    "gateways_heard": (1, 3),
    "frame_counter": (0, 30_000),
    "clients": (0, 40),
    "people_count": (0, 60),
    "people_count_max": (0, 80),
    "power_alarm": (0, 0),
    "motions": (0, 20),
    "rx_bytes": (10**6, 10**10),
    "tx_bytes": (10**6, 10**11),
}
_RADIO = ("rssi_dbm", "snr_db", "spreading_factor", "frame_counter", "gateways_heard")
_LEVEL = ("distance_mm", "filling_level", "quality")
_SHAPES: dict[str, tuple[tuple[int, tuple[str, ...]], ...]] = {
    "parking_spot": (
        (4, ("distance_mm", "occupied", "quality")),
        (1, ("distance_mm", "quality")),
        (4, ("occupied", *_RADIO)),
        (2, ("occupied", "temperature_c", *_RADIO)),
        (1, ("firmware", "occupied", *_RADIO)),
    ),
    "waste_container": (
        (6, _LEVEL),
        (4, (*_LEVEL, "battery_level", "status", "temperature_c", *_RADIO)),
        (1, (*_LEVEL, "battery_level", "status", "temperature_c", "firmware", *_RADIO)),
        (1, (*_LEVEL, "battery_v", "latitude_deg", "longitude_deg", "status", "temperature_c",
             "tilt_deg", *_RADIO)),
    ),
    "wifi_access_point": (
        (1, ("channel_utilization", "clients", "dns_ms", "latency_ms", "loss_ratio", "portal",
             "rx_bytes", "tx_bytes", "up", "uptime_s")),
    ),
    "people_counter": (
        (3, ("people_count", "people_count_max", *_RADIO)),
        (1, ("people_in", "people_out", "period_in", "period_out", *_RADIO)),
    ),
    "traffic_counter": ((1, ("vehicle_count", *_RADIO)),),
    "environment": (
        (1, ("illuminance_lux", "motions", "relative_humidity", "temperature_c", *_RADIO)),
    ),
    "energy_meter": (
        (1, ("active_energy_wh", "active_power_w", "current_a", "frequency_hz", "power_alarm",
             "power_factor", "voltage_v")),
    ),
    "water_level": (
        (1, ("battery_level", "distance_mm", "level_m", "quality", "temperature_c", *_RADIO)),
    ),
    "soil_moisture": (
        (1, ("battery_v", "soil_conductivity_us_cm", "soil_moisture_vwc", "soil_temperature_c",
             *_RADIO)),
    ),
}  # fmt: skip
"""By kind, which fields come together and how often: what the drivers of this version say. A kind
that isn't here says a few of its fields at random."""

_WEIGHTS = {"parking_spot": 6, "waste_container": 6, "wifi_access_point": 3}


def _value(field: Field, draw: random.Random) -> Value:
    if field.type is FieldType.TEXT:
        return draw.choice(field.choices[:1] * 9 + field.choices) if field.choices else "1.2.3"
    if field.type is FieldType.INTEGER:
        low, high = _COUNTS.get(field.name, (0, min(int(field.high), 10 ** draw.randint(3, 9))))
        return draw.randint(low, high)
    low, high, digits = _USUAL.get(field.name, (field.low, field.high, 2))
    return round(draw.uniform(low, high), digits) + 0.0


def _fields(kind: Kind, draw: random.Random) -> dict[str, Value]:
    if shapes := _SHAPES.get(kind.name):
        weights, choices = zip(*shapes, strict=True)
        names = draw.choices(choices, weights)[0]
    else:
        usual = [name for name in kind.fields if name not in ("time_quality", *_RADIO)]
        names = (*draw.sample(usual, draw.randint(2, 5)), *_RADIO)
    return {name: _value(kind.fields[name], draw) for name in names}


def sample_lines(draw: random.Random, count: int) -> list[str]:
    """A batch's worth of lines of one invented gateway, a few seconds apart."""
    site = f"{draw.choice(('pasar', 'taman', 'jalan'))}-{draw.randint(1, 99)}"
    zones = [f"{draw.choice(('main', 'utara', 'a', 'b', 'depan'))}" for _ in range(2)]
    time_ms = draw.randint(1_760_000_000_000, 2_000_000_000_000)
    weights = [_WEIGHTS.get(name, 1) for name in KINDS]
    lines = []
    for _ in range(count):
        kind = KINDS[draw.choices(list(KINDS), weights)[0]]
        time_ms += draw.randint(1, 2000)
        device = f"{_PREFIXES.get(kind.name, kind.name[:7])}-{draw.randint(1, 60):02d}"
        reading = Reading(device, kind.name, time_ms, _fields(kind, draw))
        lines.append(format_line(reading, site, draw.choice(zones)))
    return lines


def sample_batch(draw: random.Random) -> bytes:
    """One batch before it is compressed."""
    return "".join(f"{line}\n" for line in sample_lines(draw, draw.randint(1, 60))).encode()


def sample_message(draw: random.Random) -> bytes:
    """A status of an invented gateway, as JSON; one in eight an inventory."""
    site = f"{draw.choice(('pasar', 'taman', 'jalan'))}-{draw.randint(1, 99)}"
    gateway = f"{site}-{draw.randint(1, 9):02d}"
    if draw.randrange(8) == 0:
        return encode_message(_inventory(gateway, site, draw))
    accepted, seconds = draw.randrange(10 ** draw.randint(3, 8)), draw.randint(176, 200) * 10**7
    suppressed, waiting = draw.randrange(10 ** draw.randint(1, 8)), draw.choice((0, 0, 0, 13))
    newest = draw.randrange(10 ** draw.randint(2, 6))
    ledger = Ledger(
        taken=accepted + suppressed,
        suppressed=suppressed,
        accepted=accepted,
        open=draw.randint(0, 40),
        waiting=waiting,
        stored=accepted - waiting,
        refused=draw.choice(({}, {}, {}, {"repeat": 2}, {"silent": draw.randint(1, 999)})),
    )
    links = [f"{draw.choice(('bus', 'uart', 'wifi'))}-{n:02d}" for n in range(draw.randint(0, 14))]
    errors: tuple[dict[str, int], ...] = ({}, {}, {}, {"timeout": 3}, {"event_join": 44})
    return encode_message(
        Status(
            gateway=gateway,
            online=draw.randrange(9) > 0,
            version="0.1.0",
            time_ms=1000 * seconds + draw.randrange(10**10),
            epoch=draw.randbytes(16).hex(),
            ledger=ledger,
            oldest_sequence=newest if waiting else 0,
            newest_sequence=newest,
            outbox_bytes=draw.randrange(10**6, 10**8),
            outbox_bytes_max=1024**3,
            alarms=draw.choice(((), (), (), ("no_answer",), ("nobody_listens",), ("disk_full",))),
            links=tuple(
                LinkStatus(name, draw.choice(("up",) * 7 + ("down",)), draw.choice(errors))
                for name in ("lorawan", *links)
            ),
        )
    )


def _inventory(gateway: str, site: str, draw: random.Random) -> Inventory:
    devices = tuple(
        InventoryDevice(
            name=f"{_PREFIXES[driver.kind]}-{nth:02d}",
            kind=driver.kind,
            driver=driver.name,
            zone=draw.choice(("main", "utara")),
            heartbeat_s=driver.heartbeat_s,
            expiry_s=2.5 * driver.heartbeat_s + 60,
            place=Place(draw.uniform(4.5, 6), draw.uniform(95, 98)),
        )
        for nth in range(draw.randint(1, 8))
        if (driver := load_driver(draw.choice(driver_names()))).kind in _PREFIXES
    )
    return Inventory(gateway=gateway, site=site, seal_interval_s=60, devices=devices)


SAMPLES_OF = {"batches": sample_batch, "messages": sample_message}


def train(dictionary_id: int, what: str, seed: int = 1) -> bytes:
    """The dictionary's bytes; the same for the same seed and zstd version."""
    draw = random.Random(seed)
    samples: list[bytes | bytearray | memoryview] = [SAMPLES_OF[what](draw) for _ in range(SAMPLES)]
    trained = zstandard.train_dictionary(
        DICTIONARY_BYTES, samples, dict_id=dictionary_id, level=TRAINING_LEVEL
    )
    return trained.as_bytes()


def main() -> int:
    dictionary_id, what = int(sys.argv[1]), sys.argv[2]
    path = Path(__file__).parent / "dictionaries" / f"{dictionary_id}.zdict"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(train(dictionary_id, what))
    print(f"{path.name}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
