"""Figures as tables for a terminal. Pure: text in columns, one line a zone, bin or corner."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

from dashboards.analysis.time_to_full import TimeToFull
from dashboards.figures import Corner, ParkingZone, WasteBin
from ingest.rules.forecast import HOURS_MAX

NOTHING = "no data yet\n"


def parking_table(zones: Sequence[ParkingZone], zone: tzinfo) -> str:
    """Two tables: what was, and what is expected in the next hours."""
    if not zones:
        return NOTHING
    rows = [["zone", "bays", "taken", "unknown", "vehicles", "a bay a day", "stay median"]]
    rows[0] += ["overstays", "expected Rp", "received Rp"]
    ahead = [["zone", "next hours, share taken", "error", "as now", "a week ago"]]
    for one in zones:
        usage, name = one.usage, f"{one.site}/{one.zone}"
        rows.append(
            [
                name,
                str(usage.bays),
                _share(usage.occupancy),
                _share(usage.unknown_share),
                str(usage.stays),
                _number(usage.turnover, 1),
                "–" if usage.dwell_median_min is None else f"{usage.dwell_median_min:.0f} min",
                str(usage.overstays),
                "–" if one.takings is None else _rupiah(one.takings.expected_idr),
                "–" if one.takings is None else _rupiah(one.takings.received_idr),
            ]
        )
        hours = ", ".join(f"{_hour(time_ms, zone)} {_share(at)}" for time_ms, at in one.forecast)
        wrong = one.errors
        told = [wrong.ours, wrong.as_now, wrong.as_a_week_ago] if wrong else [None] * 3
        ahead.append([name, hours or "–", *(_share(error) for error in told)])
    return f"{_table(rows)}\n{_table(ahead)}"


def waste_table(bins: Sequence[WasteBin]) -> str:
    """A line a bin, and one of all."""
    if not bins:
        return NOTHING
    rows = [["bin", "zone", "level", "full in", "emptied", "for little", "overflow", "unknown"]]
    for one in bins:
        done = one.service
        rows.append(
            [
                one.device,
                f"{one.site}/{one.zone}",
                "unknown" if one.level is None else _share(one.level),
                _full_in(one.full_in),
                str(done.visits),
                str(done.wasted),
                f"{done.overflow_h:.1f} h",
                f"{done.unknown_h:.1f} h",
            ]
        )
    every = [one.service for one in bins]
    total = ["all", "", "", "", str(sum(done.visits for done in every))]
    total += [str(sum(done.wasted for done in every))]
    total += [f"{sum(done.overflow_h for done in every):.1f} h"]
    total += [f"{sum(done.unknown_h for done in every):.1f} h"]
    return _table([*rows, total])


def wifi_table(corners: Sequence[Corner], promised: float) -> str:
    """A line a corner and month."""
    if not corners:
        return NOTHING
    rows = [["corner", "zone", "month", "internet", "access point", "unknown"]]
    rows[0] += [f"{promised:.2%}", "people online", "most"]
    kept = {True: "kept", False: "broken", None: "–"}
    rows += [
        [
            one.device,
            f"{one.site}/{one.zone}",
            f"{month.year}-{month.month:02}",
            _share(month.internet, 2),
            _share(month.access_point, 2),
            f"{month.unknown_h:.1f} h",
            kept[month.keeps(promised)],
            _number(one.online.mean, 1),
            str(one.online.most),
        ]
        for one in corners
        for month in one.months
    ]
    return _table(rows)


def _full_in(said: TimeToFull | None) -> str:
    if said is None:
        return "–"
    if said.hours >= HOURS_MAX:
        return "not soon"
    high = "…" if said.hours_high >= HOURS_MAX else f"{said.hours_high:.0f}"
    return f"{said.hours:.0f} h ({said.hours_low:.0f}–{high})"


def _share(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _rupiah(amount: float) -> str:
    return f"{amount:,.0f}".replace(",", ".")


def _hour(time_ms: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(time_ms / 1000, zone).strftime("%H:%M")


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines) + "\n"
