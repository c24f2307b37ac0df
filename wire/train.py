"""Trains the dictionary that batches are compressed with: `python -m wire.train ID`.

In: nothing but a seed; the samples are invented readings of every kind, with many names, so that
the dictionary learns the kinds and not one city. Out: `wire/dictionaries/<ID>.zdict`. A dictionary
that has been shipped is never trained again under the same number.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import zstandard

from devices.kinds import KINDS, Field, FieldType
from devices.reading import Reading, Value
from wire.line import format_line

DICTIONARY_BYTES = 16 * 1024
SAMPLES = 4000
_PREFIXES = {"parking_spot": "bay", "waste_container": "bin", "wifi_access_point": "hotspot"}
_USUAL = {
    "distance_mm": (150.0, 2500.0, 0),
    "temperature_c": (23.0, 38.0, 1),
    "battery_v": (3.3, 3.7, 2),
    "battery_level": (0.2, 1.0, 2),
    "rssi_dbm": (-120.0, -60.0, 0),
    "snr_db": (-15.0, 12.0, 1),
    "filling_level": (0.0, 1.0, 3),
    "latency_ms": (15.0, 60.0, 1),
    "dns_ms": (5.0, 40.0, 1),
    "loss_ratio": (0.0, 0.1, 2),
    "channel_utilization": (0.05, 0.7, 3),
    "noise_dbm": (-100.0, -85.0, 0),
    "uptime_s": (100.0, 3e6, 0),
}
_COUNTS = {"spreading_factor": (7, 12), "gateways_heard": (1, 4), "clients": (0, 40)}
_SOMETIMES = {
    "parking_spot": (
        ("distance_mm", "occupied", "quality"),
        ("distance_mm", "occupied"),
        ("occupied", "rssi_dbm", "snr_db", "spreading_factor", "frame_counter", "gateways_heard"),
        ("occupied", "temperature_c", "rssi_dbm", "snr_db", "spreading_factor", "frame_counter",
         "gateways_heard"),
    ),
    "waste_container": (
        ("distance_mm", "filling_level", "quality"),
        ("distance_mm", "filling_level", "status", "temperature_c", "battery_level", "rssi_dbm",
         "snr_db", "spreading_factor", "frame_counter", "gateways_heard", "quality"),
    ),
}  # fmt: skip


def _value(field: Field, draw: random.Random) -> Value:
    if field.type is FieldType.TEXT:
        return draw.choice(field.choices[:1] * 5 + field.choices) if field.choices else "1.2.3"
    if field.type is FieldType.INTEGER:
        low, high = _COUNTS.get(field.name, (0, min(int(field.high), 10 ** draw.randint(3, 9))))
        return draw.randint(low, high)
    low, high, digits = _USUAL.get(field.name, (field.low, field.high, 2))
    return round(draw.uniform(low, high), digits) + 0.0


def sample_lines(draw: random.Random, count: int) -> list[str]:
    """A batch's worth of lines of one invented gateway, a few seconds apart."""
    site, zone = f"{draw.choice(('pasar', 'taman', 'jalan'))}-{draw.randint(1, 99)}", "a"
    time_ms = draw.randint(1_760_000_000_000, 2_000_000_000_000)
    lines = []
    for _ in range(count):
        kind = draw.choices(list(KINDS), weights=(6, 4, 1))[0]
        names = draw.choice(_SOMETIMES.get(kind, (tuple(KINDS[kind].fields),)))
        fields = {n: _value(KINDS[kind].fields[n], draw) for n in names if n != "time_quality"}
        time_ms += draw.randint(1, 2000)
        device = f"{_PREFIXES[kind]}-{draw.randint(1, 60):02d}"
        lines.append(format_line(Reading(device, kind, time_ms, fields), site, zone))
    return lines


def train(dictionary_id: int, seed: int = 1) -> bytes:
    """The dictionary's bytes; the same for the same seed and zstd version."""
    draw = random.Random(seed)
    samples: list[bytes | bytearray | memoryview] = [
        "".join(f"{line}\n" for line in sample_lines(draw, draw.randint(1, 60))).encode()
        for _ in range(SAMPLES)
    ]
    trained = zstandard.train_dictionary(DICTIONARY_BYTES, samples, dict_id=dictionary_id, level=9)
    return trained.as_bytes()


def main() -> int:
    dictionary_id = int(sys.argv[1])
    path = Path(__file__).parent / "dictionaries" / f"{dictionary_id}.zdict"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(train(dictionary_id))
    print(f"{path.name}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
