"""The ingestor's metrics: what came, what became of it, whether it listens.

In: a running `Ingestor` and its dead-letter file. Out: pages for `gampong.metrics`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from gampong.metrics import (
    Answer,
    Family,
    Page,
    by_reason,
    counter,
    exposition,
    gauge,
    process_families,
)
from ingest.counters import Counters
from ingest.ingestor import Ingestor

NAMES = {
    "received": ("batches_received_total", "Batches taken from the broker."),
    "snapshots": ("snapshots_total", "Batches that need no confirmation."),
    "stored": ("readings_stored_total", "Readings the database has."),
    "writes": ("store_writes_total", "Writes to the database."),
    "confirmed": ("batches_confirmed_total", "Batches with a final fate."),
    "confirms_unsent": ("confirms_unsent_total", "Confirmations that could not be sent."),
    "connected": ("connections_total", "Connections to the broker."),
    "store_away": ("store_outages_total", "Times the database was away."),
    "notes_dropped": ("notes_dropped_total", "Notes that found no room."),
    "rejected": ("readings_rejected_total", "Readings in the dead-letter file."),
    "refused": ("batches_refused_total", "Batches that can't be read."),
    "noise": ("messages_noise_total", "Messages that name no batch."),
    "kept": ("batches_kept_total", "Batches the database didn't take then."),
    "held": ("batches_held_total", "Batches sent back to wait."),
    "confirm_refused": ("confirms_refused_total", "Confirmations the broker refused."),
}
"""A counter's name and help for each of `Counters`."""


def ingest_pages(ingestor: Ingestor, letters: Path) -> dict[str, Page]:
    """`/metrics` and `/healthz` of the ingestor."""

    async def metrics() -> Answer:
        families = ingest_families(ingestor.counters, ingestor.listening, ingestor.idle)
        taken = _size_bytes(letters)
        size = gauge("gampong_ingest_dead_letters_bytes", "The dead-letter file.", taken)
        return Answer(200, exposition(iter([*families, size, *process_families()])))

    async def health() -> Answer:
        if ingestor.listening:
            return Answer(200, "ok\n")
        return Answer(503, "not subscribed: the broker, the database or the registry is away\n")

    return {"/metrics": metrics, "/healthz": health}


def _size_bytes(letters: Path) -> int:
    return letters.stat().st_size if letters.exists() else 0


def ingest_families(counters: Counters, listening: bool, idle: bool) -> Iterator[Family]:
    """Every count since the start."""
    p = "gampong_ingest_"
    for name, (metric, help_) in NAMES.items():
        value = getattr(counters, name)
        if isinstance(value, Counter):
            yield by_reason(f"{p}{metric}", help_, value)
        else:
            yield counter(f"{p}{metric}", help_, value)
    yield gauge(f"{p}listening", "Whether both subscriptions stand.", listening)
    yield gauge(f"{p}idle", "Whether nothing is in hand.", idle)
