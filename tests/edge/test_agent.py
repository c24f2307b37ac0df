"""The whole agent: a ranger on a pty, a real mosquitto, kill -9, full disk, one command."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import msgspec
import psutil
import pytest

from edge.agent import identity, recall, run_agent
from edge.configuration import OutboxSettings, load_configuration
from edge.outbox import Outbox
from edge.outbox_thread import OutboxThread
from edge.records import Line
from edge.uplink_snapshot import LastReadings
from tests.edge.outbox.rig import by_another_dictionary
from tests.edge.uplink.far_side import FarSide, confirm, hold, ignore, until
from wire.batch import digest
from wire.clock import SystemClock
from wire.messages import Ledger
from wire.topics import Leaf

NOW_MS = 1_790_000_000_000
GATEWAY = """
[gateway]
name = "gateway-1"
site = "pasar"

[broker]
port = {port}

[outbox]
path = "{folder}/outbox.db"
seal_interval_s = 1
ballast_bytes = 0

[uplink]
confirm_timeout_s = 2
nobody_listens_probe_s = 0.2
status_interval_s = 1

[time]
trust = "system"

[[link]]
type = "uart"
name = "ranger"
port = "{serial}"

[[device]]
name = "bin-1"
driver = "dfrobot_a02yyuw"
link = "ranger"
poll_interval_s = 0.1
heartbeat_s = 0.05
"""


@pytest.fixture
def file(tmp_path, broker, ranger) -> Path:
    path: Path = tmp_path / "gateway.toml"
    path.write_text(GATEWAY.format(port=broker.port, folder=tmp_path, serial=ranger.path))
    return path


class Agent:
    """`gampong edge run` as a process."""

    def __init__(self, file: Path, *words: str) -> None:
        self.ledger_file = file.with_name("ledger.json")
        self.log = file.with_name("agent.log")
        command = [sys.executable, "-m", "gampong", "edge", "run", str(file)]
        command += ["--drain-seconds", "10", "--ledger", str(self.ledger_file), *words]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, stdout=log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> Ledger:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.log.read_text()
        return msgspec.json.decode(self.ledger_file.read_bytes(), type=Ledger)


@contextmanager
def agent(file: Path, *words: str) -> Iterator[Agent]:
    running = Agent(file, *words)
    try:
        yield running
    finally:
        running.kill()


def distances(cloud: FarSide) -> list[int]:
    """What arrived in batches with keys, as the ranger said it."""
    lines = {line for batch in cloud.keyed for line in batch.lines}
    return [round(float(line.split("distance_mm=")[1].split(",")[0].split()[0])) for line in lines]


def test_from_the_frame_to_the_ledger(file, broker, ranger):
    async def scenario() -> None:
        stop = asyncio.Event()
        configuration = load_configuration(file.read_text(), str(file))
        with FarSide(broker) as cloud:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(run_agent(configuration, SystemClock(), stop, 10.0))
                await until(lambda: len(cloud.keyed) >= 2)
                stop.set()
            ledger = task.result()
        assert ledger.balanced
        assert (ledger.waiting, ledger.open, ledger.gaps) == (0, 0, 0)
        assert ledger.stored == len(distances(cloud)) > 0
        assert set(distances(cloud)) <= set(ranger.distances_mm)
        assert cloud.inventories[0].devices[0].name == "bin-1"
        assert cloud.statuses[0].links[0].name == "ranger"

    asyncio.run(scenario())


def test_what_a_newer_version_sealed_waits_and_does_not_keep_an_older_one_from_starting(tmp_path):
    async def scenario() -> None:
        settings = OutboxSettings(path=str(tmp_path / "outbox.db"), ballast_bytes=0)
        opened = partial(Outbox.open, settings, SystemClock(), "machine")
        bin_n = "waste_container,device=bin-{},site=s,zone=a distance_mm=9 {}"
        texts = [bin_n.format(number, NOW_MS) for number in (1, 2)]
        async with OutboxThread(opened) as outbox:
            for text in texts:
                line = Line(text, text.split(",")[1][7:], "waste_container", NOW_MS)
                await outbox.seal([line], {}, Counter())
        newer = by_another_dictionary(f"{texts[0]}\n".encode())
        with closing(sqlite3.connect(settings.path)) as card, card:
            for table in ("payloads", "batches"):
                sql = f"UPDATE {table} SET digest = ? WHERE sequence = 1"
                assert card.execute(sql, (digest(newer),)).rowcount == 1
            card.execute("UPDATE payloads SET payload = ? WHERE sequence = 1", (newer,))
        async with OutboxThread(opened) as outbox:
            last = LastReadings()
            await recall(outbox, last)
            assert last.newest("bin-2", "waste_container") == texts[1]
            waiting = await outbox.waiting(0, 9)
            assert [row.payload == newer for row in waiting] == [True, False]

    asyncio.run(scenario())


def test_the_command_runs_it_and_writes_the_ledger(file, broker):
    async def scenario() -> None:
        with FarSide(broker) as cloud, agent(file) as running:
            await until(lambda: cloud.keyed)
            ledger = running.stop()
            assert ledger.balanced
            assert (ledger.waiting, ledger.open) == (0, 0)
            assert ledger.stored == len(distances(cloud))
            assert "event=ended balanced=True" in running.log.read_text()

    asyncio.run(scenario())


def test_killed_again_and_again_it_loses_nothing_that_it_accepted(file, broker):
    async def scenario() -> None:
        arrived: set[str] = set()
        with FarSide(broker) as cloud:
            for answer in (confirm, ignore, hold(1.0), confirm):
                cloud.answer = answer
                cloud.batches.clear()
                with agent(file):
                    await until(lambda: len(cloud.keyed) >= 3)
                arrived.update(line for batch in cloud.keyed for line in batch.lines)
            cloud.answer = confirm
            with agent(file) as running:
                ledger = running.stop() if await _settled(cloud) else None
            assert ledger is not None
            assert ledger.balanced
            assert (ledger.waiting, ledger.gaps) == (0, 4)
            arrived.update(line for batch in cloud.keyed for line in batch.lines)
            assert ledger.stored == len(arrived)
            assert len({(line.split()[0], line.split()[2]) for line in arrived}) == len(arrived)

    async def _settled(cloud: FarSide) -> bool:
        start = len(cloud.statuses)
        await until(
            lambda: any(s.ledger.stored and not s.oldest_sequence for s in cloud.statuses[start:])
        )
        return True

    asyncio.run(scenario())


def test_restarted_with_a_backlog_it_shows_the_last_readings_first(file, broker):
    async def scenario() -> None:
        broker.kill()
        with agent(file) as running:
            path = file.with_name("outbox.db-wal")
            await until(lambda: path.exists() and path.stat().st_size > 40_000)
            running.kill()
        broker.start()
        with FarSide(broker) as cloud, agent(file) as running:
            await until(
                lambda: any(batch.leaf is Leaf.BATCH and batch.key for batch in cloud.batches)
            )
            ledger = running.stop()
            assert ledger.balanced
            assert ledger.waiting == 0
            snapshot = cloud.batches[0]
            assert snapshot.key is None
            assert len(snapshot.lines) == 1
            waited = [batch for batch in cloud.keyed if batch.leaf is Leaf.BACKFILL]
            assert snapshot.lines[0] in waited[-1].lines
            assert ledger.stored == len({line for b in cloud.keyed for line in b.lines})

    asyncio.run(scenario())


def test_a_broker_that_is_not_there_stops_neither_reading_nor_stopping(file, broker, ranger):
    broker.kill()

    async def scenario() -> None:
        with agent(file, "--drain-seconds", "0.2") as running:
            await until(lambda: len(ranger.distances_mm) > 30)
            ledger = running.stop()
        assert ledger.balanced
        assert ledger.waiting > 10

    asyncio.run(scenario())


def test_city_time_is_trusted_and_its_seals_come_faster(file, broker):
    file.write_text(file.read_text().replace('trust = "system"', 'trust = "ntp"'))

    async def scenario() -> None:
        now_ms = SystemClock().now_ms()
        city = f"{now_ms}:1800000000000:20"
        with FarSide(broker) as cloud, agent(file, "--city-time", city) as running:
            await until(lambda: len(cloud.keyed) >= 3)
            ledger = running.stop()
        assert ledger.balanced
        times = [int(line.split()[-1]) for batch in cloud.keyed for line in batch.lines]
        assert all(1_800_000_000_000 <= time_ms <= 1_800_002_000_000 for time_ms in times)
        assert cloud.statuses[0].clock == "trusted"

    asyncio.run(scenario())


def test_the_agent_is_small(file, broker):
    async def scenario() -> None:
        with FarSide(broker) as cloud, agent(file) as running:
            await until(lambda: len(cloud.keyed) >= 3)
            memory = psutil.Process(running.process.pid).memory_info().rss / 2**20
            print(f"resident: {memory:.1f} MiB")
            assert memory < 48

    asyncio.run(scenario())


def gampong(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gampong", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_check_tells_what_would_be_opened(file, broker, ranger):
    done = gampong("edge", "check", str(file))
    assert done.returncode == 0, done.stderr
    assert f"127.0.0.1:{broker.port} (plain)" in done.stdout
    assert f"link ranger (uart): {ranger.path}" in done.stdout
    assert "device bin-1 in main: dfrobot_a02yyuw" in done.stdout


@pytest.mark.parametrize("word", ["check", "run"])
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "bin-1"', 'name = "Bin 1"', "device[0].name"),
        ('driver = "dfrobot_a02yyuw"', 'driver = "nothing"', "dfrobot_a02yyuw"),
        ("[broker]", '[broker]\npassword_file = "/nowhere/password"', "/nowhere/password"),
        ("[broker]", "[broker]\nspeed = 3", "speed"),
    ],
)
def test_a_configuration_that_will_not_do_ends_with_2_and_says_why(file, word, old, new, said):
    file.write_text(file.read_text().replace(old, new))
    done = gampong("edge", word, str(file))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_and_a_taken_outbox_end_with_2(tmp_path, file):
    assert gampong("edge", "run", str(tmp_path / "none.toml")).returncode == 2
    file.write_text(file.read_text().replace(f'"{tmp_path}/outbox.db"', '"/proc/outbox.db"'))
    done = gampong("edge", "run", str(file))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "/proc" in done.stderr


def test_the_agent_imports_nothing_heavy():
    heavy = ("numpy", "aiohttp", "nicegui", "influxdb_client", "email", "unittest", "pdb")
    code = (
        "import json, sys; import gampong.edge_command, edge.agent, edge.links.chirpstack;"
        "import edge.links.hotspot, edge.links.modbus, edge.links.uart;"
        f"print(json.dumps([m for m in {heavy!r} if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_identity_names_machine_and_card_and_is_stable(tmp_path):
    assert identity(tmp_path / "deep" / "outbox.db") == identity(tmp_path / "outbox.db")
