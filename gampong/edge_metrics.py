"""The agent's metrics: ledger, outbox, uplink, links and confirmation times.

In: a `Seen` of the agent. Out: families for `gampong.metrics`. Labels are links and reasons, never
devices: a city has thousands of those, and its database knows them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from edge.durations import Durations
from edge.onlooker import Look
from edge.outbox_file import OutboxFailing
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
from wire.messages import Ledger, LinkStatus, Status

NOT_WELL = frozenset({"disk_failing", "disk_full", "damaged"})
"""Alarms with which readings aren't accepted; the others are the cloud's, and readings wait."""


def edge_pages(look: Look) -> dict[str, Page]:
    """`/metrics` and `/healthz` of the agent."""

    async def metrics() -> Answer:
        try:
            seen = await look()
        except OutboxFailing as error:
            return Answer(503, f"outbox: {error.reason}\n")
        families = edge_families(seen.status, seen.confirm_times)
        return Answer(200, exposition(iter([*families, *process_families()])))

    async def health() -> Answer:
        try:
            alarms = (await look()).status.alarms
        except OutboxFailing as error:
            return Answer(503, f"outbox: {error.reason}\n")
        if bad := sorted(NOT_WELL.intersection(alarms)):
            return Answer(503, f"not accepting: {', '.join(bad)}\n")
        return Answer(200, "ok\n")

    return {"/metrics": metrics, "/healthz": health}


def edge_families(status: Status, confirm_times: Durations) -> Iterator[Family]:
    """Everything the status says, and how long confirmations took."""
    p = "gampong_edge_"
    yield gauge(
        f"{p}info", "Who this is.", 1,
        gateway=status.gateway, version=status.version, epoch=status.epoch,
    )  # fmt: skip
    yield gauge(f"{p}uplink_connected", "Whether the broker is connected.", status.online)
    trusted = status.clock == "trusted"
    yield gauge(f"{p}clock_trusted", "Whether the time is believed.", trusted)
    alarms: list[tuple[str, dict[str, str], float]] = [
        ("", {"alarm": one}, 1) for one in status.alarms
    ]
    yield Family(f"{p}alarm", "gauge", "Alarms that are raised now.", alarms)
    yield from _ledger(p, status.ledger)
    yield gauge(f"{p}outbox_bytes", "What the outbox takes.", status.outbox_bytes)
    yield gauge(f"{p}outbox_limit_bytes", "What it may take.", status.outbox_bytes_max)
    yield gauge(f"{p}batches_parked", "Batches the broker hangs up on.", status.parked)
    waits_ms = status.time_ms - status.oldest_waiting_ms if status.oldest_waiting_ms else 0
    yield gauge(f"{p}oldest_waiting_seconds", "Age of what waits longest.", waits_ms / 1000)
    if status.card_life_used is not None:
        yield gauge(f"{p}card_life_used_ratio", "By the card's word.", status.card_life_used)
    if status.uplink_bytes is not None:
        yield gauge(f"{p}uplink_month_bytes", "Over the SIM this month.", status.uplink_bytes)
    yield from _links(p, status.links)
    yield _confirm(p, confirm_times)


def _ledger(p: str, ledger: Ledger) -> Iterator[Family]:
    r = f"{p}readings_"
    yield counter(f"{r}taken_total", "Readings taken from links.", ledger.taken)
    yield by_reason(f"{r}refused_total", "Frames not understood.", ledger.refused)
    yield counter(f"{r}suppressed_total", "Readings that said nothing new.", ledger.suppressed)
    yield counter(f"{r}accepted_total", "Readings committed to disk.", ledger.accepted)
    yield counter(f"{r}stored_total", "Readings confirmed as stored.", ledger.stored)
    yield by_reason(f"{r}rejected_total", "Readings the cloud refused.", ledger.rejected)
    yield by_reason(f"{r}dropped_total", "Readings lost here.", ledger.dropped)
    yield gauge(f"{r}open", "Readings not sealed yet.", ledger.open)
    yield gauge(f"{r}waiting", "Readings not confirmed yet.", ledger.waiting)
    yield by_reason(f"{p}noise_total", "Pieces that were no frame.", ledger.noise)
    yield counter(f"{p}gaps_total", "Unclean ends.", ledger.gaps)
    yield counter(f"{p}gap_seconds_total", "What they lasted.", ledger.gap_ms / 1000)
    yield gauge(f"{p}ledger_balanced", "Whether the ledger adds up.", ledger.balanced)


def _links(p: str, links: tuple[LinkStatus, ...]) -> Iterator[Family]:
    errors: Counter[tuple[str, str]] = Counter()
    for link in links:
        for reason, count in link.errors.items():
            errors[link.name, reason.rpartition(":")[2]] += count  # without the device's name
    yield Family(
        f"{p}link_up", "gauge", "Whether the link works.",
        [("", {"link": link.name}, link.state == "up") for link in links],
    )  # fmt: skip
    yield Family(
        f"{p}link_errors_total", "counter", "A link's errors since the start.",
        [("", {"link": name, "reason": why}, n) for (name, why), n in sorted(errors.items())],
    )  # fmt: skip


def _confirm(p: str, times: Durations) -> Family:
    samples: list[tuple[str, dict[str, str], float]] = [
        ("_bucket", {"le": f"{bound_s:g}"}, count) for bound_s, count in times.up_to()
    ]
    samples += [("_bucket", {"le": "+Inf"}, times.count)]
    samples += [("_sum", {}, times.sum_s), ("_count", {}, times.count)]
    return Family(f"{p}confirm_seconds", "histogram", "From first send to final fate.", samples)
