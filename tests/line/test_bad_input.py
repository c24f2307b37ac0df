"""Bad input on a running line: counted with a reason, never written, and it delays nobody.

One line for all cases: an agent with a Modbus bus, a UART and a network server's stream, a site
and a cloud mosquitto, an ingestor on SQLite. Each case is thrown at it three times while bays
change, and the median of the three changes must be confirmed within a second.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytest
import zstandard

from ingest.stores import Row
from tests.ingest.batches import line
from tests.ingest.gateway import Gateway
from tests.line.listening import Client, Ear, until
from tests.line.sensors import FREE_MM, OCCUPIED_MM, Spoil, ranger_frame
from tests.line.street import GATEWAY, Street, assert_all_stored
from wire.batch import encode_batch
from wire.messages import Status

PROMPT_S = 1.0
THROWS = 3
POISON_MM = 666  # said by bad frames only: it may never be stored
STRANGE_EUI = "00000000000000ff"
TEN_MB = 10 * 1024 * 1024


class Running(NamedTuple):
    """The line, an ear on its cloud, the network server's voice, what was thrown at the ingestor
    so far, and how long good readings took meanwhile."""

    street: Street
    ear: Ear
    server: Client
    thrown: Counter[str]
    latencies_s: list[float]

    def bay_changes(self) -> float:
        """A car comes to bay-1 or leaves it; how long until that is confirmed."""
        comes = self.street.bus.distances[1] == FREE_MM
        began = time.monotonic()
        self.street.bus.distances[1] = OCCUPIED_MM if comes else FREE_MM
        return self._confirmed("bay-1", f"occupied={int(comes)}i", began)

    def uplink_comes(self) -> float:
        """The same by LoRaWAN."""
        began = time.monotonic()
        self.server.say(*self.street.uplink())
        return self._confirmed("bay-lora", "occupied=1i", began)

    def _confirmed(self, device: str, field: str, began: float) -> float:
        heard = until(lambda: self.ear.confirmed(device, field, began), f"{device} {field}")
        self.latencies_s.append(heard - began)
        return heard - began

    def good_readings_are_prompt(self, throw: Callable[[], None]) -> None:
        """Throw, and see what comes after it. What is bad delays each time; a single pause is
        this machine's."""
        latencies_s: list[float] = []
        for nth in range(THROWS):
            throw()
            latencies_s.append(self.uplink_comes() if nth == 1 else self.bay_changes())
        assert median(latencies_s) < PROMPT_S


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """bay-9 is configured and was never installed."""
    with ExitStack() as stack:
        street = Street(tmp_path_factory.mktemp("street"), stack, bays=(1, 2, 9))
        ear = stack.enter_context(Ear(street.cloud, GATEWAY))
        server = stack.enter_context(Client(street.site))
        street.start_ingestor()
        street.start_agent()
        ear.told(lambda status: {link.state for link in status.links} == {"up"}, "all links are up")
        line = Running(street, ear, server, Counter(), [])
        line.bay_changes()
        line.uplink_comes()
        line.latencies_s.clear()
        yield line


# What the agent meets: counted in its retained status, which it publishes each second.

ANSWERS: dict[str, Spoil] = {
    "checksum": lambda frame: frame[:3] + POISON_MM.to_bytes(2) + frame[5:],
    "length": lambda frame: frame[:4],
    "timeout": lambda frame: b"",
}


@pytest.mark.parametrize("reason", ANSWERS)
def test_a_bad_answer_on_the_bus_is_refused_and_its_neighbour_is_prompt(running, reason):
    def refused(status: Status) -> int:
        return status.ledger.refused.get(reason, 0)

    def errors(status: Status) -> int:
        return link_errors(status, "rs485").get(f"bay-2:{reason}", 0)

    before = running.ear.status
    running.good_readings_are_prompt(lambda: bay_2_answers(running, ANSWERS[reason]))
    running.ear.told(lambda status: errors(status) - errors(before) >= THROWS, f"bay-2:{reason}")
    assert refused(running.ear.status) - refused(before) >= THROWS
    assert_nothing_bad_is_written(running.street.points())


def bay_2_answers(running: Running, spoil: Spoil) -> None:
    """Its next answer is another one."""
    spoils = running.street.bus.spoils[2]
    spoils.append(spoil)
    until(lambda: not spoils, "bay-2 is asked")


def test_a_device_that_never_answers_is_counted_and_its_neighbours_are_prompt(running):
    def told(status: Status) -> int:
        return link_errors(status, "rs485").get("bay-9:timeout", 0)

    running.good_readings_are_prompt(lambda: None)
    running.ear.told(lambda status: told(status) >= THROWS, "bay-9:timeout")
    assert running.ear.status.ledger.refused["timeout"] >= THROWS
    assert "bay-9" not in running.street.points()


BETWEEN = {
    "checksum": ranger_frame(POISON_MM)[:3] + b"\x00",
    "truncated": ranger_frame(POISON_MM)[:3],
    "garbage": b"\x00\x12\x34\x56",
}


@pytest.mark.parametrize("name", BETWEEN)
def test_what_is_no_frame_on_a_uart_is_noise_and_the_next_frame_is_read(running, name):
    def noise(status: Status) -> int:
        assert link_errors(status, "ranger").keys() <= status.ledger.noise.keys()
        return link_errors(status, "ranger").get(reason, 0)

    reason = "garbage" if name == "garbage" else "checksum"
    ranger, before, began = running.street.ranger, running.ear.status, time.monotonic()
    running.good_readings_are_prompt(lambda: ranger.between.append(BETWEEN[name]))
    running.ear.told(lambda status: noise(status) - noise(before) >= THROWS, reason)
    assert until(lambda: running.ear.confirmed("bin-1", "distance_mm", began), "bin-1 goes on")
    assert_nothing_bad_is_written(running.street.points())


NOISE: dict[str, Spoil] = {
    "in front of an answer": lambda frame: b"\x00\x55\x00" + frame,
    "after an answer": lambda frame: frame + b"\x55\x00",
}


@pytest.mark.parametrize("place", NOISE)
def test_noise_on_the_bus_is_counted_and_harms_no_answer(running, place):
    def noise(status: Status) -> int:
        # `late` when it comes so late that the next question finds it.
        reasons = ("garbage", "late")
        assert sum(status.ledger.noise.get(reason, 0) for reason in reasons) >= bus_noise(status)
        return bus_noise(status)

    def bus_noise(status: Status) -> int:
        return sum(link_errors(status, "rs485").get(reason, 0) for reason in ("garbage", "late"))

    def refused(status: Status) -> dict[str, int]:
        errors = link_errors(status, "rs485")
        return {reason: errors.get(f"bay-2:{reason}", 0) for reason in ("checksum", "length")}

    before = running.ear.status
    running.good_readings_are_prompt(lambda: bay_2_answers(running, NOISE[place]))
    running.ear.told(lambda status: noise(status) - noise(before) >= THROWS, "noise is counted")
    assert refused(running.ear.status) == refused(before)
    assert_nothing_bad_is_written(running.street.points())


def test_an_uplink_of_an_unknown_device_is_refused(running):
    def refused(status: Status) -> int:
        return status.ledger.refused.get("unknown_device", 0)

    before = running.ear.status
    running.good_readings_are_prompt(
        lambda: sent(running.server.say(*running.street.uplink(STRANGE_EUI)))
    )
    running.ear.told(lambda s: refused(s) - refused(before) == THROWS, "unknown_device")
    assert_nothing_bad_is_written(running.street.points())


def test_an_envelope_that_is_not_json_is_noise(running):
    def noise(status: Status) -> int:
        return link_errors(status, "lorawan").get("garbage", 0)

    before = running.ear.status
    running.good_readings_are_prompt(lambda: network_server_says(running, b'{"deviceInfo": {'))
    running.ear.told(lambda status: noise(status) - noise(before) == THROWS, "garbage")
    ledgers = [status.ledger.noise.get("garbage", 0) for status in (before, running.ear.status)]
    assert ledgers[1] - ledgers[0] == THROWS
    assert_nothing_bad_is_written(running.street.points())


def network_server_says(running: Running, payload: bytes) -> None:
    """On the topic of a device that is known."""
    name, _ = running.street.uplink()
    running.server.say(name, payload)


def test_ten_megabytes_on_the_event_topic_stop_at_the_site_broker_which_says_so(running):
    def dropped() -> int:
        log: str = running.street.site.log.read_text(errors="replace")
        return log.count("Dropping too large")

    before = dropped()
    running.good_readings_are_prompt(lambda: network_server_says(running, bytes(TEN_MB)))
    until(lambda: dropped() - before == THROWS, "the site broker's log names what it dropped")
    assert {link.state for link in running.ear.status.links} == {"up"}
    assert_nothing_bad_is_written(running.street.points())


# What the ingestor meets, from a gateway gone wrong: rejected in its confirmation and kept as a
# dead letter, and counted in the ingestor's own words.

BATCHES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a batch that isn't zstd": ("not_zstd", lambda: b"this is not a batch"),
    "a decompression bomb": ("too_large", lambda: bomb(known_size=True)),
    "a bomb that hides its size": ("too_large", lambda: bomb(known_size=False)),
    "a 10 MB message": ("too_large", lambda: b"\x28\xb5\x2f\xfd" + bytes(TEN_MB)),
}

LINES: dict[str, tuple[str, Callable[[str], str]]] = {
    "a line outside the grammar": ("grammar", lambda good: good.replace(" ", "  ", 1)),
    "a kind that nobody knows": ("unknown_kind", lambda good: good.replace("parking_spot", "tank")),
    "a line that claims another gateway's tag": (
        "grammar",
        lambda good: good.replace(",site=", f",gateway={GATEWAY},site="),
    ),
    "a field of another type": ("type", lambda good: good.replace("occupied=1i", "occupied=1.5")),
}


def bomb(known_size: bool) -> bytes:
    """256 MB of nothing in a few kilobytes."""
    size = 2**28
    compressor = zstandard.ZstdCompressor().compressobj(size=size if known_size else -1)
    return b"".join([compressor.compress(bytes(size)), compressor.flush()])


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_that_can_not_be_read_is_rejected_whole(running, name):
    reason, make = BATCHES[name]
    payload = make()

    async def scenario() -> str:
        async with Gateway(running.street.cloud) as stranger:
            sequences = iter(range(1, THROWS + 1))
            running.good_readings_are_prompt(lambda: sent(stranger.send(payload, next(sequences))))
            for sequence in range(1, THROWS + 1):
                assert (await stranger.fate(sequence)).rejected == {reason: 0}
            return stranger.name

    stranger = asyncio.run(scenario())
    running.thrown[f"refused.{reason}"] += THROWS
    kept = dead_letters(running.street.folder, stranger)
    assert [(letter["reason"], letter["index"]) for letter in kept] == [(reason, -1)] * THROWS
    assert stranger not in gateways(running.street.points())


@pytest.mark.parametrize("name", LINES)
def test_a_bad_line_is_rejected_alone(running, name):
    reason, spoil = LINES[name]

    async def scenario() -> str:
        async with Gateway(running.street.cloud) as stranger:
            sequences = iter(range(1, THROWS + 1))

            def throw() -> None:
                time_ms, own = time.time_ns() // 1_000_000, stranger.name
                bad = spoil(line(f"bad-{own}", time_ms, occupied=1, distance_mm=float(POISON_MM)))
                good = [line(f"good-{own}-{side}", time_ms) for side in "ab"]
                stranger.send(encode_batch([good[0], bad, good[1]]), next(sequences))

            running.good_readings_are_prompt(throw)
            for sequence in range(1, THROWS + 1):
                fate = await stranger.fate(sequence)
                assert (fate.stored, fate.rejected) == (2, {reason: 1})
            return stranger.name

    stranger = asyncio.run(scenario())
    running.thrown[f"rejected.{reason}"] += THROWS
    kept = dead_letters(running.street.folder, stranger)
    assert [(letter["reason"], letter["index"]) for letter in kept] == [(reason, 1)] * THROWS
    assert all(f"bad-{stranger}" in str(letter["line"]) for letter in kept)
    points = running.street.points()
    assert_nothing_bad_is_written(points)
    assert [len(points[f"good-{stranger}-{side}"]) for side in "ab"] == [THROWS, THROWS]


def test_garbage_without_a_key_is_noise_and_answered_by_nothing(running):
    async def scenario() -> str:
        async with Gateway(running.street.cloud) as stranger:
            running.good_readings_are_prompt(lambda: sent(stranger.send(b"not a batch", None)))
            assert not stranger.fates
            return stranger.name

    stranger = asyncio.run(scenario())
    running.thrown["noise.not_zstd"] += THROWS
    assert dead_letters(running.street.folder, stranger) == []
    assert stranger not in gateways(running.street.points())


def test_when_all_is_over_the_ledger_balances_and_the_ingestor_has_counted_everything(running):
    print(f"slowest of {len(running.latencies_s)}: {max(running.latencies_s, default=0):.2f} s")
    ledger = running.street.stop_agent()
    points = running.street.points()
    assert_all_stored(ledger, points)
    assert_nothing_bad_is_written(points)
    assert running.street.ingestor.stop() == 0
    ended = next(
        text for text in running.street.ingestor.tail().splitlines() if "event=ended" in text
    )
    counted = dict(word.split("=") for word in ended.split() if "=" in word)
    assert {name: counted.get(name) for name in running.thrown} == {
        name: str(times) for name, times in running.thrown.items()
    }


def sent(_answer: int) -> None:
    """Sending is all that is wanted of it."""


def link_errors(status: Status, name: str) -> dict[str, int]:
    return next(link.errors for link in status.links if link.name == name)


def dead_letters(folder: Path, gateway: str) -> list[dict[str, object]]:
    file = folder / "dead-letters.jsonl"
    every = [json.loads(text) for text in file.read_bytes().splitlines()] if file.exists() else []
    return [letter for letter in every if letter["gateway"] == gateway]


def gateways(points: dict[str, list[Row]]) -> set[str]:
    return {row.tags["gateway"] for rows in points.values() for row in rows}


def assert_nothing_bad_is_written(points: dict[str, list[Row]]) -> None:
    known = {"bay-1", "bay-2", "bay-lora", "bin-1"}
    assert {device for device in points if not device.startswith("good-")} == known
    distances = {row.fields.get("distance_mm") for rows in points.values() for row in rows}
    assert POISON_MM not in distances
    own = [row for device in known for row in points[device]]
    assert {row.tags["gateway"] for row in own} == {GATEWAY}
