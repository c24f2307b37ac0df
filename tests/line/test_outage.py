"""The cloud goes away and comes back: readings are taken all the while, and nothing is lost.

City time runs 60 times as fast, so that a few seconds are minutes of city.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.line.listening import WITHIN_S, Client, Ear, until
from tests.line.sensors import FREE_MM, OCCUPIED_MM
from tests.line.street import GATEWAY, Street, assert_all_stored
from wire.topics import Leaf, topic

RATE = 60
OUTAGE_MS = 2 * 60_000  # city
BACK_S = 5.0
"""After a short outage; each side tries again after a pause that grows with it."""


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    """A line that has stored something."""
    with ExitStack() as stack:
        line = Street(tmp_path, stack, rate=RATE)
        line.start_ingestor()
        line.start_agent()
        until(lambda: {"bay-1", "bay-2", "bin-1"} <= line.points().keys(), "the line runs")
        yield line


@pytest.fixture
def server(street: Street) -> Iterator[Client]:
    """The network server, which never goes away."""
    with Client(street.site) as client:
        yield client


def a_while_passes(street: Street, server: Client) -> None:
    """Bays change and uplinks come for two minutes of city, and seals are made."""
    began_ms, newest = street.now_ms(), street.outbox().newest_sequence
    while street.now_ms() < began_ms + OUTAGE_MS or street.outbox().newest_sequence < newest + 4:
        bay_changes(street)
        server.say(*street.uplink())
        it_is_sealed(street, street.outbox().newest_sequence)


def it_is_sealed(street: Street, before: int) -> None:
    until(lambda: street.outbox().newest_sequence > before, "a new batch is sealed")


def bay_changes(street: Street) -> None:
    free = street.bus.distances[1] == FREE_MM
    street.bus.distances[1] = OCCUPIED_MM if free else FREE_MM


def live_readings_flow(street: Street, within_s: float = BACK_S) -> None:
    """Within so many seconds from now; a bay changes to be seen."""

    def seen() -> bool:
        rows = street.points()["bay-1"]
        return any(row.time_ms >= since_ms and row.fields["occupied"] == wanted for row in rows)

    began, since_ms = time.monotonic(), street.now_ms()
    bay_changes(street)
    wanted = int(street.bus.distances[1] == OCCUPIED_MM)
    until(seen, "bay-1 is seen to have changed", within_s)
    print(f"live after {time.monotonic() - began:.2f} s")


def waiting(street: Street) -> tuple[int, int]:
    """The first and the last sequence that wait."""
    summary = street.outbox()
    assert summary.waiting_batches > 0
    return summary.oldest_sequence, summary.newest_sequence


def the_backlog_was_stored_oldest_first(street: Street, first: int, last: int) -> None:
    until(lambda: street.noted().keys() >= set(range(first, last + 1)), "the backlog is stored")
    noted = street.noted()
    stored_ms = [noted[sequence] for sequence in range(first, last + 1)]
    assert stored_ms == sorted(stored_ms)


def sent(street: Street, leaf: Leaf) -> int:
    """Batches that the broker got on that topic; a question has no bytes."""
    name = topic(GATEWAY, leaf)
    lines = street.cloud.log.read_text(errors="replace").splitlines()
    got = [line for line in lines if "Received PUBLISH" in line and f"'{name}'" in line]
    return sum(1 for line in got if "(0 bytes)" not in line)


def test_a_broker_that_was_away_gets_live_readings_at_once_and_the_backlog_oldest_first(
    street, server
):
    assert sent(street, Leaf.BACKFILL) == 0
    street.cloud.kill()
    a_while_passes(street, server)
    first, last = waiting(street)
    assert last - first >= 3
    street.cloud.start()
    live_readings_flow(street)
    the_backlog_was_stored_oldest_first(street, first, last)
    assert sent(street, Leaf.BACKFILL) >= last - first + 1
    ledger = street.stop_agent()
    assert_all_stored(ledger, street.points())
    assert ledger.gaps == 0


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_an_ingestor_that_was_away_is_noticed_and_nothing_is_lost(street, server, how):
    alarm = "nobody_listens" if how == "killed" else "no_answer"
    with Ear(street.cloud, GATEWAY, batches=False) as ear:
        stopped = street.ingestor
        if how == "killed":
            stopped.kill()
        else:
            os.kill(stopped.pid, signal.SIGSTOP)
        a_while_passes(street, server)
        ear.told(lambda status: alarm in status.alarms, alarm)
        first, last = waiting(street)
        if how == "killed":
            street.start_ingestor()
        else:
            os.kill(stopped.pid, signal.SIGCONT)
        live_readings_flow(street)
        until(lambda: street.noted().keys() >= set(range(first, last + 1)), "all is stored")
        ear.told(lambda status: alarm not in status.alarms, f"{alarm} is over")
    ledger = street.stop_agent()
    assert_all_stored(ledger, street.points())
    assert ledger.gaps == 0


def test_an_agent_killed_in_an_outage_loses_nothing_that_it_accepted_and_counts_the_gap(
    street, server
):
    street.cloud.kill()
    a_while_passes(street, server)
    street.agent.kill()
    lines, before = street.waiting_lines(), street.outbox().ledger
    assert before.waiting == len(lines) > 0
    server.say(*street.uplink())  # waits in the site broker's session
    uplinks = len(lora(lines)) + len(street.points().get("bay-lora", ()))
    street.start_agent()
    a_while_passes(street, server)
    street.cloud.start()
    live_readings_flow(street, WITHIN_S)
    ledger, points = street.stop_agent(), street.points()
    assert_all_stored(ledger, points)
    assert (ledger.gaps, ledger.accepted > before.accepted) == (1, True)
    assert 0 < ledger.gap_ms < OUTAGE_MS * 10
    stored = {(device, row.time_ms) for device, rows in points.items() for row in rows}
    assert {(device_of(line), int(line.split()[-1])) for line in lines} <= stored
    assert len(points["bay-lora"]) > uplinks


def device_of(line: str) -> str:
    return line.partition("device=")[2].partition(",")[0]


def lora(lines: list[str]) -> list[str]:
    return [line for line in lines if device_of(line) == "bay-lora"]
