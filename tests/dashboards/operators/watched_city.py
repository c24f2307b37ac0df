"""A small city with a day behind it, as the ingestors and the watch leave it in a store: two WiFi
corners, two gateways, a few devices of every other kind, things that fire and a history."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from devices.kinds import KINDS
from devices.reading import Value
from ingest.health import point
from ingest.rules.kinds import RULE_CHANGE, RULE_STATE, WATCH_HEALTH
from ingest.stores import Bucket, Written
from ingest.stores.configuration import SqliteSettings
from ingest.stores.kinds import GATEWAY_COMPLETENESS, STORED_KINDS
from ingest.stores.open import open_store
from wire.clock import SystemClock

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
DAY_MS = 24 * HOUR_MS
PLACES = {"mahirah-01": (5.5701, 95.3287), "lhokseumawe-01": (5.188, 97.1398)}
SITES = {"mahirah-01": "pasar-mahirah", "lhokseumawe-01": "pasar-inpres"}
DEVICES: dict[str, tuple[str, str]] = {
    "wifi-01": ("wifi_access_point", "Titik WiFi pelataran"),
    "wifi-02": ("wifi_access_point", "Titik WiFi dermaga"),
    "bin-03": ("waste_container", "Bak sampah 3"),
    "bin-07": ("waste_container", "Bak sampah 7"),
    "meter-01": ("energy_meter", "Lampu jalan Pasar"),
    "solar-01": ("energy_meter", "Panel surya kantor"),
    "river-01": ("water_level", "Krueng Aceh"),
    "traffic-01": ("traffic_counter", "Jalan Cut Mutia"),
    "air-01": ("environment", "Udara pasar"),
    "people-01": ("people_counter", "Gerbang timur"),
    "pay-01": ("payment", "Terminal 1"),
}
TITLES = ("bin_burning", "bin_full", "water_high", "card_worn")
"""What fires, the worst first."""


def tags(device: str) -> tuple[str, str, str, str]:
    """Device, gateway, site, zone: every second one is in the other city."""
    gateway = list(SITES)[list(DEVICES).index(device) % 2] if device in DEVICES else device
    return device, gateway, SITES[gateway], "pelataran" if device in DEVICES else "main"


def lines(now_ms: int, labels: dict[str, str] | None = None) -> dict[Bucket, list[str]]:
    """Bucket → lines; `labels` replaces those of `DEVICES`."""
    return {
        Bucket.CITY: [*_readings(now_ms), *_batches(now_ms)],
        Bucket.HEALTH: [*_registry(now_ms, labels or {}), *_health(now_ms), *_standing(now_ms)],
        Bucket.HOURLY: list(_hourly(now_ms)),
    }


def store(path: Path, some: dict[Bucket, list[str]]) -> None:
    """Write them, from a test that isn't async (in a thread: Playwright has a loop in this one)."""

    async def write() -> None:
        async with open_store(SqliteSettings(path=str(path)), SystemClock()) as opened:
            for bucket, each in some.items():
                assert await opened.write(bucket, each) == Written()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(write())).result()


def reading(device: str, time_ms: int, **fields: Value) -> str:
    """One line of a device."""
    return point(KINDS[DEVICES[device][0]], tags(device), fields, time_ms)


def _readings(now_ms: int) -> Iterator[str]:
    last_ms = now_ms - 5_000
    for back in range(24 * 60):  # a minute each, the newest first
        time_ms, people = last_ms - back * MINUTE_MS, 6 + 5 * (back // 60 % 4)
        for nth, device in enumerate(("wifi-01", "wifi-02")):
            is_down = device == "wifi-02" and back < 20
            yield reading(
                device, time_ms, up=1, clients=people - 3 * nth,
                portal="down" if is_down else "open",
                rx_bytes=(24 * 60 - back) * 40_000, tx_bytes=(24 * 60 - back) * 400_000,
                latency_ms=28.0 + 9 * nth + back % 7, dns_ms=14.0 + nth,
                loss_ratio=0.31 if is_down else 0.01, channel_utilization=0.2 + 0.3 * nth,
            )  # fmt: skip
    for back in range(24 * 4):  # a quarter of an hour each
        time_ms, hour = last_ms - back * 15 * MINUTE_MS, back / 4
        yield reading("bin-03", time_ms, filling_level=0.94, status="ok")
        yield reading("bin-07", time_ms, filling_level=0.5, status="burning" if not back else "ok")
        yield reading("meter-01", time_ms, active_power_w=900.0 + 20 * hour, voltage_v=221.4,
                      active_energy_wh=5e6 - 250.0 * back)  # fmt: skip
        yield reading(
            "solar-01", time_ms, active_power_w=max(0.0, 2400 - 90 * hour), voltage_v=229.0
        )
        yield reading("river-01", time_ms, level_m=2.1 - hour / 30, distance_mm=4200.0)
        yield reading("air-01", time_ms, temperature_c=29.4 - hour / 10, relative_humidity=0.71,
                      co2_ppm=520.0)  # fmt: skip
        yield reading("people-01", time_ms, people_count=back % 9)
    for back in range(26):
        yield reading("traffic-01", last_ms - back * HOUR_MS, vehicle_count=90_000 - 310 * back)
        yield reading("pay-01", last_ms - back * 37 * MINUTE_MS, transaction=f"T{back}",
                      amount_idr=2000 + 1000 * (back % 3), method="qris")  # fmt: skip


def _batches(now_ms: int) -> Iterator[str]:
    for gateway, ago_ms in (("mahirah-01", 5_000), ("lhokseumawe-01", 25 * MINUTE_MS)):
        batch: dict[str, Value] = {"sequence": 7, "readings": 3, "lag_ms": 250}
        yield point(STORED_KINDS["gateway_batch"], tags(gateway), batch, now_ms - ago_ms)


def _registry(now_ms: int, labels: dict[str, str]) -> Iterator[str]:
    kind = STORED_KINDS["device_registry"]
    for gateway, (latitude, longitude) in PLACES.items():
        where = {"latitude": latitude, "longitude": longitude}
        own: dict[str, Value] = {"kind": "gateway", "label": f"Gateway {gateway}", **where}
        yield point(kind, tags(gateway), own, now_ms - 9_000)
    for device, (of, label) in DEVICES.items():
        latitude, longitude = PLACES[tags(device)[1]]
        known: dict[str, Value] = {
            **{"kind": of, "label": labels.get(device, label), "maintenance": 0},
            **{"latitude": latitude, "longitude": longitude},
            "expiry_s": 180.0
            if of.startswith("wifi")
            else 172_800.0
            if of == "payment"
            else 5400.0,
        }
        yield point(kind, tags(device), known, now_ms - 9_000)


def _health(now_ms: int) -> Iterator[str]:
    for back in range(0, 24 * 60, 5):
        time_ms = now_ms - 4_000 - back * MINUTE_MS
        for gateway, nth in (("mahirah-01", 0), ("lhokseumawe-01", 1)):
            away = nth == 1 and back < 15
            yield point(
                STORED_KINDS["gateway_health"],
                tags(gateway),
                {
                    **{"online": int(not away), "age_s": 900.0 if away else 12.0},
                    **{"waiting": 40 + 12 * nth * (60 - back % 60), "oldest_waiting_s": 60.0},
                    **{"accepted": 91_000, "stored": 90_960, "refused": 3, "rejected": nth},
                    **{"dropped": 12 * nth, "dropped_full": 12 * nth, "dropped_damaged": 0},
                    **{"balanced": 1, "outbox_share": 0.1 + nth * max(0.0, 0.6 - back / 600)},
                    **{"links": 3, "links_down": nth, "link_errors": 4, "clock": "trusted"},
                    **{"link_error_share": 0.002 + 0.06 * nth, "card_life_used": 0.3 + 0.55 * nth},
                    **{"temperature_c": 51.0 + 20 * nth, "uplink_bytes": 118_000_000 + 9 * nth},
                    **{"uplink_share": 0.12, "version": "0.1.0"},
                },
                time_ms,
            )
    for minute in range(0, 60, 5):
        yield point(
            STORED_KINDS["device_health"],
            tags("meter-01"),
            {"state": "ok", "kind": "energy_meter", "read_errors": 60 - minute},
            now_ms - minute * MINUTE_MS,
        )


def _standing(now_ms: int) -> Iterator[str]:
    own = ("watch", "watch", "watch", "main")
    yield point(WATCH_HEALTH, own, {"uptime_s": 9e4, "listening": 1}, now_ms - 2_000)
    firing = (
        ("bin-07", "bin_burning", 3, 3, 1.0, 5),
        ("bin-03", "bin_full", 3, 2, 0.94, 95),
        ("river-01", "water_high", 3, 3, 2.1, 40),
        ("lhokseumawe-01", "card_worn", 2, 2, 0.85, 600),
    )
    for device, rule, level, severity, value, minutes in firing:
        since_ms = now_ms - minutes * MINUTE_MS
        fields: dict[str, Value] = {
            **{rule: level, f"{rule}_since_ms": since_ms, f"{rule}_value": value},
            **{f"{rule}_judged_ms": now_ms - MINUTE_MS, "worst": rule, "worst_level": level},
            **{"worst_severity": severity, "worst_since_ms": since_ms},
        }
        yield point(RULE_STATE, tags(device), fields, now_ms - 3_000)


def _hourly(now_ms: int) -> Iterator[str]:
    today_ms = now_ms - now_ms % DAY_MS
    for back in range(7):
        for gateway, nth in (("mahirah-01", 0), ("lhokseumawe-01", 1)):
            fields: dict[str, Value] = {
                **{"share": 1.0 - 0.004 * nth * (back == 2), "missing": nth * 5 * (back == 2)},
                **{"why": "dropped full" if nth and back == 2 else "", "stored": 1430},
                **{"radio_expected": 1200, "radio_heard": 1200 - 14 * (nth + 1)},
                "card_life_used": 0.3 + 0.55 * nth,
            }
            yield point(GATEWAY_COMPLETENESS, tags(gateway), fields, today_ms - back * DAY_MS)
    worn: dict[str, Value] = {"card_life_used": 0.75}
    yield point(GATEWAY_COMPLETENESS, tags("lhokseumawe-01"), worn, today_ms - 300 * DAY_MS)
    changes = (
        ("bin-03", "bin_full", "fires", 95, "", ""),
        ("wifi-02", "portal_down", "fires", 400, "", ""),
        ("wifi-02", "portal_down", "acknowledged", 380, "Cut Nyak", "penyedia dihubungi"),
        ("wifi-02", "portal_down", "clears", 300, "", ""),
    )
    for device, rule, became, minutes, who, why in changes:
        at_ms = now_ms - minutes * MINUTE_MS
        told: dict[str, Value] = {"rule": rule, "became": became, "at_ms": at_ms, "value": 0.94}
        yield point(
            RULE_CHANGE, tags(device), told | ({"who": who, "why": why} if who else {}), at_ms
        )
