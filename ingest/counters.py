"""What the ingestor did since it started, by reason: its log line and its points each minute.

Words: *noise* names no batch, *refused* is a batch that can't be read, *rejected* are lines in the
dead-letter file, *kept* are answers of a database that took nothing, *held* are batches that were
sent back to wait.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from devices.reading import Value
from ingest.stores.kinds import REJECTED_FOR


@dataclass
class Counters:
    """Batches unless said; `stored` and `rejected` are readings."""

    received: int = 0
    snapshots: int = 0
    stored: int = 0
    writes: int = 0
    confirmed: int = 0
    confirms_unsent: int = 0
    connected: int = 0
    store_away: int = 0
    notes_dropped: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    noise: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    confirm_refused: Counter[str] = field(default_factory=Counter)

    def text(self) -> str:
        """`received=12 stored=700 rejected.range=1 …`; zeros of reasons don't appear."""
        words = []
        for name, value in vars(self).items():
            if isinstance(value, Counter):
                words += [f"{name}.{reason}={count}" for reason, count in sorted(value.items())]
            else:
                words.append(f"{name}={value}")
        return " ".join(words)

    def fields(self) -> dict[str, Value]:
        """The counts as fields of `ingestor_health`; a reason that never came is left out."""
        refused = self.rejected + self.refused
        by_reason: dict[str, Value] = {
            f"rejected_{reason}": refused[reason] for reason in REJECTED_FOR if refused[reason]
        }
        noise = self.noise.total() - self.noise["probe"]
        return by_reason | {
            "received": self.received,
            "stored": self.stored,
            "rejected": refused.total(),
            "kept": self.kept.total(),
            "held": self.held.total(),
            "noise": noise,
            "notes_dropped": self.notes_dropped,
        }
