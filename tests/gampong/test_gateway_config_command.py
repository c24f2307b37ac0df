"""From an operator's terminal to a gateway and back: the commands, a real watch, a real broker, a
real agent with a ranger on a pty."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from ingest.desk import Desk
from tests.edge.remote.test_remote_agent import PATIENT_S, written
from tests.edge.test_agent import agent
from tests.edge.uplink.far_side import FarSide, until
from tests.ingest.gateway import configuration, eventually, toml_of
from tests.ingest.test_watch import newest, watching
from tests.servers import Mosquitto
from wire.clock import SystemClock

NAME = "gateway-1"


async def gampong(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gampong", *map(str, words)]
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=90, check=False
    )


def ingest_toml(folder: Path, broker: Mosquitto) -> Path:
    path = folder / "ingest.toml"
    text = toml_of(configuration(folder, broker))
    path.write_text(f'{text}[watch]\nregistry_path = "{folder}/registry.json"\n')
    return path


def test_an_operator_gets_edits_and_sets_a_gateways_configuration(tmp_path, broker, ranger):
    async def main() -> None:
        ingest, site = ingest_toml(tmp_path, broker), tmp_path / "site"
        site.mkdir()
        file = written(site, broker, ranger, PATIENT_S)
        mine = tmp_path / "mine.toml"
        async with watching(configuration(tmp_path, broker), tmp_path, SystemClock()) as (watch, _):
            nobody = await gampong("gateway", "config", "get", ingest, "gateway-9", "--wanted")
            assert nobody.returncode == 1
            with FarSide(broker) as cloud, agent(file):
                await until(lambda: cloud.keyed)
                await eventually(lambda: NAME in watch.heard)
                got = await gampong("gateway", "config", "get", ingest, NAME)
                assert got.stdout == file.read_text(), got.stderr
                mine.write_text(got.stdout.replace('site = "pasar"', 'site = "pasar"\nlabel = "P"'))
                diff = await gampong("gateway", "config", "diff", ingest, NAME, mine)
                assert '+label = "P"' in diff.stdout.splitlines(), diff.stderr
                put = await gampong("gateway", "config", "set", ingest, NAME, mine, "--wait", 80)
                assert put.returncode == 0, put.stdout + put.stderr
                assert ": applied" in put.stdout
                assert file.read_text() == mine.read_text()

                # Somebody at the site calibrates; whoever began before that is refused.
                file.write_text(file.read_text() + "# calibrated\n")
                late = await gampong("gateway", "config", "set", ingest, NAME, mine, "--wait", 80)
                assert late.returncode == 1
                assert "changed at the site" in late.stdout
                broken = tmp_path / "broken.toml"
                broken.write_text(mine.read_text().replace("dfrobot_a02yyuw", "no_such"))
                bad = await gampong("gateway", "config", "set", ingest, NAME, broken)
                assert bad.returncode == 2
                assert "no such driver" in bad.stderr
                other = await gampong("gateway", "config", "set", ingest, "gateway-2", mine)
                assert other.returncode == 2
                wanted = await gampong("gateway", "config", "get", ingest, NAME, "--wanted")
                assert wanted.stdout == mine.read_text()
                assert "refused" in wanted.stderr
        # What is wanted outlives a broker that forgets: the watch tells it again.
        assert Desk(tmp_path / "registry.json").wanted()[NAME].text == mine.read_text()

    asyncio.run(main())


def test_commands_and_a_new_sensor_from_the_cloud(tmp_path, broker, ranger):
    async def main() -> None:
        ingest, site = ingest_toml(tmp_path, broker), tmp_path / "site"
        site.mkdir()
        file = written(site, broker, ranger, PATIENT_S)
        async with watching(configuration(tmp_path, broker), tmp_path, SystemClock()) as (watch, _):
            with FarSide(broker) as cloud, agent(file):
                await until(lambda: cloud.keyed)
                await eventually(lambda: "bin-1" in watch.registry.file.owners)
                read = await gampong("gateway", "command", "read-now", ingest, NAME, "bin-1")
                assert "distance_mm" in read.stdout, read.stderr
                link = await gampong("gateway", "command", "restart-link", ingest, NAME, "other")
                assert (link.returncode, link.stderr) == (1, "no link other\n")
                words = ("device", "replace", ingest, "bin-1", "--sensor", "4711", "--wait", 80)
                new = await gampong(*words)
                assert new.returncode == 0, new.stdout + new.stderr
                assert 'sensor = "4711"' in file.read_text()
                nobody = await gampong("device", "replace", ingest, "bin-9", "--sensor", "4711")
                assert nobody.returncode == 2

    asyncio.run(main())


def test_a_device_in_maintenance_shows_closed_until_the_work_is_done(tmp_path, broker, ranger):
    async def main() -> None:
        ingest, site = ingest_toml(tmp_path, broker), tmp_path / "site"
        site.mkdir()
        file = written(site, broker, ranger, PATIENT_S)
        settings = configuration(tmp_path, broker)
        async with watching(settings, tmp_path, SystemClock()) as (watch, store):
            with FarSide(broker), agent(file):
                await eventually(lambda: "bin-1" in watch.registry.file.owners)

                async def closed() -> object:
                    await watch.round(SystemClock().now_ms())
                    state = (await newest(store, "device_health"))["bin-1"].fields["state"]
                    place = (await newest(store, "device_registry"))["bin-1"].fields["maintenance"]
                    assert place == (state == "maintenance")
                    return state == "maintenance"

                assert not await closed()
                words = ("device", "maintenance", ingest, "bin-1")
                begun = await gampong(*words, "--until", "3h", "--why", "new lid")
                assert begun.returncode == 0, begun.stderr
                assert await closed()
                past = await gampong(*words, "--until", "2020-01-01T00:00+07:00")
                assert past.returncode == 2
                ended = await gampong(*words, "--end")
                assert ended.returncode == 0, ended.stderr
                assert not await closed()

    asyncio.run(main())


def test_at_the_site_the_file_is_written_and_the_log_knows_who(tmp_path, broker, ranger):
    async def main() -> None:
        file = written(tmp_path, broker, ranger, PATIENT_S)
        done = await gampong("device", "replace", file, "bin-1", "--sensor", "4711")
        assert done.returncode == 0, done.stderr
        assert "Calibrate it" in done.stdout
        closed = await gampong("device", "maintenance", file, "bin-1", "--until", "2d")
        assert closed.returncode == 0, closed.stderr
        text = file.read_text()
        assert text.startswith("# the ranger at the market")
        assert 'sensor = "4711"' in text
        assert "maintenance_until = " in text
        check = await gampong("edge", "check", file)
        assert check.returncode == 0, check.stderr
        log = (await gampong("edge", "log", file)).stdout
        assert "replaced bin-1: replaced: sensor 4711" in log
        assert "maintenance bin-1: in maintenance until" in log
        nobody = await gampong("device", "replace", file, "bin-2", "--sensor", "1")
        assert nobody.returncode == 2
        assert file.read_text() == text

    asyncio.run(main())
