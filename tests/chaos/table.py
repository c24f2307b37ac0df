"""The table at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.chaos.run import Run
from tests.chaos.verdict import Verdict


def table(run: Run, verdict: Verdict, seconds: float) -> str:
    """What was done, what became of the readings, and what is wrong."""
    rows = [*_faults(run), *_readings(verdict), *_repairs(run, verdict, seconds)]
    lines = [f"{name:<44} {value}" if value else f"\n{name}" for name, value in rows]
    lines += ["", *(f"WRONG: {problem}" for problem in verdict.problems)]
    lines.append("zero lost, zero twice" if verdict.good else "NOT GOOD")
    return "\n".join(lines)


def _faults(run: Run) -> Iterator[tuple[str, str]]:
    yield f"faults: {sum(run.kinds.values())}", ""
    yield from ((kind, str(count)) for kind, count in sorted(run.kinds.items()))
    for what, count in sorted(run.ended_by_themselves.items()):
        yield f"ended by itself: {what}", str(count)
    if not all(agent.disk.mounted for agent in run.line.agents):
        yield "disk full", "left out: only root may mount a small file system"


def _readings(verdict: Verdict) -> Iterator[tuple[str, str]]:
    ledger, compared = verdict.ledger, verdict.compared
    yield "readings", ""
    yield "taken", str(ledger.taken)
    yield "accepted (ledgers)", str(ledger.accepted)
    yield "stored (ledgers)", str(ledger.stored)
    yield "points (InfluxDB)", str(verdict.points)
    yield "lost", str(verdict.lost)
    yield "twice", str(verdict.twice)
    yield "dropped", _reasons(ledger.dropped)
    yield "rejected", _reasons(ledger.rejected)
    yield "refused", _reasons(ledger.refused)
    yield "held by outboxes, each found in InfluxDB", str(verdict.held)
    yield "uplinks sent (city), stored", f"{compared.uplinks_sent}, {compared.uplinks_stored}"
    yield "polled, asked (city), stored", f"{compared.polled_asked}, {compared.polled_stored}"


def _repairs(run: Run, verdict: Verdict, seconds: float) -> Iterator[tuple[str, str]]:
    ledger = verdict.ledger
    carried, sealed = run.line.batches_carried()
    yield "repairs", ""
    yield (
        "unclean restarts of agents (gaps)",
        f"{ledger.gaps}, together {ledger.gap_ms / 1000:.0f} s",
    )
    yield "batches sealed, carried to an ingestor", f"{sealed}, {carried}"
    yield "carried more than once, snapshots included", str(carried - sealed)
    yield "batches waiting when all was mended", str(run.backlog)
    yield "longest drain", f"{max(run.drain_s.values(), default=0.0):.1f} s after all was mended"
    yield "took", f"{seconds / 60:.1f} minutes"


def _reasons(counts: Mapping[str, int]) -> str:
    parts = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
    return f"{sum(counts.values())} ({parts})" if parts else "0"
