"""A gateway without a clock of its own: a real process on a machine that boots in 1970.

Its clock, NTP's word and its boots are `machine.c`'s; brokers, database and all our processes are
the real ones. The city runs in the past and fast, which uplinks show by the network server's time;
polled readings are stamped by the gateway.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from edge.outbox_export import look_at
from edge.outbox_reader import OutboxSummary
from gampong.truth import TruthRow, compare, read_truth
from ingest.stores import Row
from tests.chaos.city import city_of, write_files
from tests.live.line import points_of, read_ledger, set_up, write_ingest_toml
from tests.live.machine import Machine
from tests.processes import Gampong, Module
from tests.servers import Influxd, Mosquitto
from wire.clock import CityTime, SystemClock
from wire.messages import Ledger

SPEED = 60
WITHIN_S = 45.0
LOOK_S = 0.2
AHEAD_S = 90.0
POLLED_BEFORE_MS = 8_000
COURIER_MS = 1_500
"""The cloud's time is as old as its message when it comes; older ones the broker drops."""


class Street:
    """One gateway of the city with all that is behind it; the watch isn't started yet."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        now_ms = SystemClock().now_ms()
        self.city_time = CityTime(now_ms, now_ms - 24 * 3600 * 1000, SPEED)
        site = stack.enter_context(Mosquitto(folder / "site", persistent=True))
        self.cloud = stack.enter_context(Mosquitto(folder / "cloud"))
        database = stack.enter_context(Influxd(folder / "influxd"))
        toml = write_ingest_toml(folder, database, self.cloud.port)
        toml.write_text(toml.read_text() + '\n[ingest]\nregistry = "none"\n')
        self.settings = set_up(folder, database, toml)
        self.ingestor = self._run(Gampong("ingestor", folder, "ingest", "run", str(toml)))
        self.watch = Gampong("watch", folder, "watch", str(toml))
        city = city_of(1)
        self.toml = write_files(city, folder, site.port)[0]
        self.outbox = folder / f"{self.toml.stem}.db"
        self._mend_toml()
        arguments = (str(folder), "1", self.city_time.argument, str(site.port))
        self.world = self._run(Module("city", folder, "tests.chaos.city", *arguments))
        self.world.said("ready")
        self.machine = Machine(folder / "machine")
        self.ledger_path = folder / "ledger.json"
        words = ("edge", "run", str(self.toml), "--drain-seconds", "30")
        self.agent = stack.enter_context(
            Gampong(
                "agent", folder, *words, "--ledger", str(self.ledger_path),
                environment=self.machine.environment,
            )
        )  # fmt: skip
        self.agent.kill()  # entered only so that it is ended whatever happens

    def _run(self, process: Gampong | Module) -> Module:
        return self._stack.enter_context(process)

    def _mend_toml(self) -> None:
        text = self.toml.read_text().replace("\nport = 1\n", f"\nport = {self.cloud.port}\n")
        text = text.replace('trust = "system"', 'trust = "ntp"')
        often = re.compile(r"^poll_interval_s = .*$", re.MULTILINE)
        self.toml.write_text(often.sub("poll_interval_s = 1.0\nheartbeat_s = 2.0", text))

    def until(self, what: str, true: Callable[[], bool]) -> None:
        """Wait until that is true."""
        deadline = time.monotonic() + WITHIN_S
        while not true():
            assert self.world.runs_for(LOOK_S), self.world.tail()
            if time.monotonic() > deadline:
                pytest.fail(f"not within {WITHIN_S:.0f} s: {what}\n{self.agent.tail()}")

    def summary(self) -> OutboxSummary:
        """What is in the outbox now."""
        with look_at(self.outbox) as outbox:
            return outbox.summary()

    def accepts(self, more: int) -> None:
        """Wait for that many accepted readings more."""
        before = self.summary().ledger.accepted if self.outbox.exists() else 0
        self.until(
            f"{more} readings more",
            lambda: self.outbox.exists() and self.summary().ledger.accepted >= before + more,
        )

    def points(self) -> list[Row]:
        """Every stored point."""
        return [row for rows in asyncio.run(points_of(self.settings)).values() for row in rows]

    def polled(self) -> list[Row]:
        """Stored points that the gateway itself has stamped."""
        asked = {row.device for row in read_truth(self.folder / "truth.jsonl") if not row.uplink}
        return [row for row in self.points() if row.tags["device"] in asked]

    def ends(self) -> Ledger:
        """The agent drains and ends."""
        assert self.agent.stop(40) == 0, self.agent.tail()
        return read_ledger(self.ledger_path)

    def truth(self) -> Iterator[TruthRow]:
        """The city's rows, polls in the gateway's time."""
        city = self.city_time
        for row in read_truth(self.folder / "truth.jsonl"):
            wall_ms = city.wall_ms + round((row.time_ms - city.city_ms) / city.rate)
            stamp_ms = wall_ms - COURIER_MS
            yield row if row.uplink else msgspec.structs.replace(row, time_ms=stamp_ms)


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    with ExitStack() as stack:
        yield Street(tmp_path, stack)


def estimated(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row.fields.get("time_quality") == "estimated"]


@pytest.mark.live
def test_a_gateway_that_boots_in_1970_waits_for_the_clouds_time_and_then_follows_ntp(
    street: Street,
) -> None:
    began_ms = time.time() * 1000
    street.machine.boots_in_1970()
    street.agent.start()
    street.accepts(20)
    street.until("a polled reading waits for the time", lambda: street.summary().unplaced >= 3)
    assert street.polled() == []  # uplinks, which bring their own time, needn't wait

    with street.watch:
        street.agent.said("event=time_trusted by=cloud", WITHIN_S)
        street.until("all is stored", lambda: street.summary().waiting_batches == 0)
        street.accepts(20)
        street.until("all is stored", lambda: street.summary().waiting_batches == 0)
        ended_ms = time.time() * 1000
        assert {row.fields.get("time_quality") for row in street.points()} == {None}
        assert all(began_ms - COURIER_MS < row.time_ms <= ended_ms for row in street.polled())
        points = asyncio.run(points_of(street.settings))
        within_ms = POLLED_BEFORE_MS + COURIER_MS
        ours = [row for row in street.truth() if row.device in points and not row.uplink]
        heard = {device: points[device] for device in {row.device for row in ours}}
        assert compare(ours, heard, within_ms).words == []

        street.machine.set(AHEAD_S, synchronised=True)  # NTP's time isn't the watch's
        street.until(
            "readings are stamped by the machine's clock",
            lambda: any(row.time_ms > time.time() * 1000 + 60_000 for row in street.polled()),
        )
        street.machine.ntp_sets_the_clock()  # and steps back, over what is stored already
        street.accepts(20)
        ledger = street.ends()
    assert ledger.balanced
    assert ledger.waiting == 0
    assert ledger.rejected == {}
    assert len(street.points()) == ledger.stored == ledger.accepted > 60


@pytest.mark.live
def test_readings_of_a_boot_that_never_learnt_the_time_are_placed_before_the_next_one_and_say_so(
    street: Street,
) -> None:
    began_ms = time.time() * 1000
    street.agent.start()
    street.accepts(20)
    street.until("all is stored", lambda: street.summary().waiting_batches == 0)
    street.agent.kill()
    last_trusted_ms = max(row.time_ms for row in street.polled())

    street.machine.boots_in_1970()
    street.agent.start()
    street.accepts(20)
    street.until("a polled reading waits for the time", lambda: street.summary().unplaced >= 3)
    polled = street.polled()
    street.agent.kill()
    assert {row.time_ms for row in polled if row.time_ms > last_trusted_ms} == set()

    street.machine.boots()
    street.machine.ntp_sets_the_clock()
    again_ms = time.time() * 1000
    street.agent.start()
    street.agent.said("event=started")
    street.accepts(20)
    ledger = street.ends()
    ended_ms = time.time() * 1000

    placed = estimated(street.polled())
    assert len(placed) > 10
    assert all(last_trusted_ms < row.time_ms < ended_ms for row in placed)
    sure = [row.time_ms for row in street.polled() if row not in placed]
    assert max(row.time_ms for row in placed) < min(ms for ms in sure if ms > again_ms)
    assert not [ms for ms in sure if ms < began_ms]
    assert ledger.balanced
    assert (ledger.waiting, ledger.rejected) == (0, {})
    assert len(street.points()) == ledger.stored == ledger.accepted
    assert ledger.gaps == 2
    assert ledger.gap_ms < ended_ms - began_ms
