"""What many gateways say: names, inventories and true sealed batches, without their hardware.

    FleetGateway(7, readings=60, seed=1).seal(now_ms)  ─▶  SealedBatch: a payload and its key

Each gateway has as many devices as a batch has readings: of 60, 40 bays, 14 bins and 6 WiFi
corners. A batch is one reading a device, as after a minute without report by exception. Values are
drawn once a kind and taken from that pool by chance, so that a batch costs little to make, while
it compresses like, and is read by the guard like, a real one. Every (device, time) is new.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec

from devices.kinds import KINDS
from devices.reading import Value
from wire.batch import BatchKey, digest, encode_batch
from wire.line import format_fields
from wire.messages import Inventory, InventoryDevice, Ledger, Status

SITE = "fleet"
ZONE = "main"
SEAL_INTERVAL_S = 60.0
VERSION = "fleet"
_POOL = 512
_WORDS = (("parking_spot", "bay"), ("waste_container", "bin"), ("wifi_access_point", "ap"))
_SPREAD_MS = 997  # a reading's age when it is sealed differs from device to device


class SealedBatch(msgspec.Struct, frozen=True):
    """A batch as a gateway's outbox keeps it."""

    key: BatchKey
    payload: bytes
    seal_ms: int
    readings: int


def fleet_name(number: int) -> str:
    """The name of gateway `number` of the fleet, which sorts by number."""
    return f"fleet-{number:05d}"


class FleetGateway:
    """One gateway of the fleet: its devices, and what it seals.

    Args:
        number: which one; the same number, seed and life has the same epoch, devices and values.
        readings: devices, and so readings a batch.
        life: another life is another epoch: an outbox begun anew.
    """

    def __init__(self, number: int, readings: int, seed: int, life: int = 0) -> None:
        self.name = fleet_name(number)
        self.sequence = 0
        self._random = random.Random(f"{seed} {number} {life}")
        self.epoch = self._random.randbytes(16)
        self._readings = readings
        self._heads = [
            (kind, f"{kind},device={device},site={SITE},zone={ZONE} ")
            for kind, device in self._devices()
        ]
        self._last_seal_ms = 0
        self._sealed_readings = 0

    def seal(self, now_ms: int) -> SealedBatch:
        """The next batch, sealed then or a little later: seal times rise strictly, and so do the
        times of each device's readings."""
        seal_ms = self._last_seal_ms = max(now_ms, self._last_seal_ms + 1)
        self.sequence += 1
        self._sealed_readings += self._readings
        payload = encode_batch(self._lines(seal_ms))
        key = BatchKey(self.epoch, self.sequence, digest(payload))
        return SealedBatch(key, payload, seal_ms, self._readings)

    def inventory(self) -> Inventory:
        """What hangs on this gateway, for the retained topic."""
        devices = tuple(
            InventoryDevice(
                name=device,
                kind=kind,
                driver="fleet",
                zone=ZONE,
                heartbeat_s=KINDS[kind].heartbeat_s,
                expiry_s=KINDS[kind].expiry_s,
            )
            for kind, device in self._devices()
        )
        return Inventory(self.name, SITE, SEAL_INTERVAL_S, devices)

    def status(self, now_ms: int, waiting_batches: int) -> Status:
        """Its word about itself, for the retained topic."""
        waiting = waiting_batches * self._readings
        return Status(
            gateway=self.name,
            online=True,
            version=VERSION,
            time_ms=now_ms,
            epoch=self.epoch.hex(),
            ledger=Ledger(
                taken=self._sealed_readings,
                accepted=self._sealed_readings,
                waiting=waiting,
                stored=self._sealed_readings - waiting,
            ),
            oldest_sequence=self.sequence - waiting_batches + 1 if waiting_batches else 0,
            newest_sequence=self.sequence,
        )

    def lines(self, time_ms: int) -> list[str]:
        """One reading a device, as lines without the gateway's tag."""
        return list(self._lines(time_ms))

    def _lines(self, seal_ms: int) -> Iterator[str]:
        pick = self._random.randrange
        for place, (kind, head) in enumerate(self._heads):
            yield f"{head}{_FIELDS[kind][pick(_POOL)]} {seal_ms - place * _SPREAD_MS}"

    def _devices(self) -> Iterator[tuple[str, str]]:
        """Kind and name of each."""
        bays, bins = round(self._readings * 2 / 3), round(self._readings * 7 / 30)
        counts = (bays, min(bins, self._readings - bays), max(self._readings - bays - bins, 0))
        for (kind, word), count in zip(_WORDS, counts, strict=True):
            for index in range(1, count + 1):
                yield kind, f"{self.name}-{word}-{index:02d}"


def _bay(draw: random.Random) -> dict[str, Value]:
    occupied = draw.random() < 0.6
    distance_mm = draw.gauss(210, 25) if occupied else draw.gauss(2350, 40)
    return {
        "occupied": int(occupied),
        "distance_mm": round(max(distance_mm, 30.0), 1),
        "battery_v": round(draw.uniform(3.2, 3.65), 3),
        "temperature_c": round(draw.gauss(31, 3), 1),
    }


def _bin(draw: random.Random) -> dict[str, Value]:
    level = draw.random()
    return {
        "filling_level": round(level, 4),
        "distance_mm": round(1350 - 1100 * level),
        "temperature_c": round(draw.gauss(33, 4), 1),
        "status": "ok" if draw.random() < 0.98 else "lid_open",
    }


def _access_point(draw: random.Random) -> dict[str, Value]:
    return {
        "up": 1,
        "clients": draw.randrange(60),
        "rx_bytes": draw.randrange(10**11),
        "tx_bytes": draw.randrange(10**12),
        "channel_utilization": round(draw.betavariate(2, 5), 3),
        "latency_ms": round(draw.lognormvariate(3, 0.4), 1),
        "loss_ratio": 0 if draw.random() < 0.9 else 0.1,
        "portal": "open",
    }


def _pools() -> dict[str, list[str]]:
    """Field texts of each kind, the same in every process."""
    draw = random.Random("fleet")
    makers = {"parking_spot": _bay, "waste_container": _bin, "wifi_access_point": _access_point}
    return {
        kind: [format_fields(KINDS[kind], make(draw)) for _ in range(_POOL)]
        for kind, make in makers.items()
    }


_FIELDS = _pools()
