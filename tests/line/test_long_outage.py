"""A day without the cloud, in city time: the agent's memory stays flat and its outbox bounded.

The agent is a process with 72 radio devices that report 20 times a minute together, as the city's
do; nobody answers where its broker should be. The outbox is too small for a day, so that it
overflows as well.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bench.gateway import write_gateway
from bench.processes import used
from bench.uplinks import DEVICES, Devices, Publisher
from edge.outbox_export import look_at
from tests.processes import Gampong
from tests.servers import Mosquitto, free_port
from wire.clock import CityTime, SystemClock
from wire.messages import Ledger

DAY_S, WALL_S = 24 * 3600, 40
RATE = DAY_S // WALL_S
READINGS = 20 * 60 * 24
STEPS = 200
BYTES_MAX = 1024 * 1024
ROOM_BYTES = 2 * 1024 * 1024
"""Beside `bytes_max`: SQLite's log and what a seal takes until it has given up something."""

GROWTH_BYTES = 5 * 1024 * 1024
RESIDENT_BYTES = 64 * 1024 * 1024


@pytest.fixture
def site(tmp_path):
    """The network server's broker, which keeps all that the agent hasn't taken yet."""
    config = "max_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true"
    with Mosquitto(tmp_path / "site", config=config) as broker:
        yield broker


def test_through_a_day_without_the_cloud_memory_is_flat_and_the_outbox_keeps_its_bound(
    tmp_path, site, seed
):
    here, now_ms = "127.0.0.1", SystemClock().now_ms()
    city = CityTime(now_ms, now_ms, RATE)
    sizes: dict[str, Any] = {"bytes_max": BYTES_MAX, "ballast_bytes": 0}
    file = write_gateway(tmp_path, (here, free_port()), (here, site.port), **sizes)
    words = ["edge", "run", str(file), "--city-time", city.argument, "--drain-seconds", "0"]
    words += ["--ledger", str(tmp_path / "ledger.json")]
    outbox_files = [tmp_path / "outbox.db", tmp_path / "outbox.db-wal"]
    resident, largest = [], 0
    with Gampong("agent", tmp_path, *words) as agent:
        agent.said("event=started")
        clock, devices = SystemClock(city), Devices(DEVICES, seed)
        publisher, nth = Publisher(here, site.port), 0
        for step in range(STEPS):
            while nth < READINGS * (step + 1) // STEPS:
                publisher.publish([devices.next(nth % DEVICES, clock.now_ms(), 0.02)])
                nth += 1
            due_ms = now_ms + DAY_S * 1000 * (step + 1) // STEPS
            while (early_ms := due_ms - clock.now_ms()) > 0:
                assert agent.runs_for(early_ms / 1000 / RATE), agent.tail()
            resident.append(used(agent.pid).resident_bytes)
            largest = max(largest, sum(f.stat().st_size for f in outbox_files if f.exists()))
        publisher.settle(0)
        assert agent.stop() == 0
    early, late = max(resident[STEPS // 10 : STEPS // 3]), max(resident[-STEPS // 3 :])
    print(f"resident {early / 1e6:.1f} MB early, {late / 1e6:.1f} MB late; outbox {largest} bytes")
    assert late - early < GROWTH_BYTES
    assert late < RESIDENT_BYTES
    assert largest < BYTES_MAX + ROOM_BYTES
    ledger = msgspec.json.decode((tmp_path / "ledger.json").read_bytes(), type=Ledger)
    assert ledger.balanced
    assert ledger.stored == 0
    assert ledger.dropped["full"] > 0
    assert ledger.accepted == ledger.waiting + ledger.dropped["full"]
    assert ledger.accepted > READINGS // 2
    with look_at(tmp_path / "outbox.db") as outbox:
        assert outbox.summary().ledger.waiting == ledger.waiting
