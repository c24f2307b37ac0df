"""From a blank gateway to points in the city's database, as a technician goes: by a bundle,
its sensors found, calibrated, commissioned from a phone. Real mosquitto over TLS, real InfluxDB 2;
a bus with three slaves at two speeds and a dead one, a ranger on a port of its own.

The time it took is printed (`-s`); installing isn't in it (deploy/edge/install.sh).
"""

from __future__ import annotations

import asyncio
import time
import tomllib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from edge.page.pin import write as write_pin
from tests.edge.page.rig import PIN, Phone
from tests.edge.scan.test_scan import Cable
from tests.edge.uplink.far_side import until
from tests.line.trusted import done, gampong, trusted_city
from tests.live.line import points_of, set_up
from tests.processes import Gampong
from tests.servers import Influxd, free_port

pytestmark = pytest.mark.live

NAME = "peunayong-07"
WAIT_S = 60.0
MM_FREE = 777  # what the slaves say
MM_EMPTY = 640  # what the ranger says
MORE = """
[outbox]
path = "{folder}/outbox.db"
seal_interval_s = 1
ballast_bytes = 0

[uplink]
status_interval_s = 1

[time]
trust = "system"

[page]
host = "127.0.0.1"
port = {port}
pin_file = "{folder}/page.pin"
"""
CLOUD = """
[broker]
host = "127.0.0.1"
port = {port}
[broker.tls]
ca_file = "{authority}/ca.pem"
certificate_file = "{authority}/{who}.pem"
key_file = "{authority}/{who}.key"

[store]
type = "influxdb2"
url = "{database.url}"
org = "{database.org}"
token_file = "{folder}/write.token"

[dead_letters]
path = "{folder}/{who}-dead-letters.jsonl"

[watch]
registry_path = "{folder}/registry.json"
"""


def wait(condition: Callable[[], object]) -> None:
    asyncio.run(until(condition, WAIT_S))


def shows(phone: Phone, path: str, text: str) -> Callable[[], bool]:
    return lambda: text in phone.get(path)[1]


def test_a_blank_gateway_is_enrolled_scanned_calibrated_commissioned_and_seen_in_the_city(
    tmp_path: Path, influxd: Influxd
) -> None:
    with ExitStack() as stack:
        city = stack.enter_context(trusted_city(tmp_path))
        for who in ("watch", "ingestor"):
            text = CLOUD.format(
                port=city.broker.port,
                authority=city.folder / "authority",
                who=who,
                database=influxd,
                folder=tmp_path,
            )
            (tmp_path / f"{who}.toml").write_text(text)
        settings = set_up(tmp_path, influxd, tmp_path / "ingestor.toml")
        for words in (("watch", "watch.toml"), ("ingest", "run", "ingestor.toml")):
            stack.enter_context(Gampong(words[0], tmp_path, *words))
        bus, port = Cable(tmp_path / "ttyBUS"), Cable(tmp_path / "ttyBIN")
        stack.callback(bus.port.close)
        stack.callback(port.port.close)
        stack.enter_context(bus.slaves({1: 9600, 2: 19200, 4: 9600}))
        stack.enter_context(port.ranger())

        began = time.monotonic()
        own = tmp_path / NAME
        bundle = tmp_path / f"{NAME}.bundle"
        done("gateway", "add", city.settings, NAME, "--site", "peunayong", "--bundle", bundle)
        done("edge", "enrol", bundle, "--folder", own)
        file = own / "gateway.toml"

        found = done("scan", "--port", bus.path, "--addresses", "1-4", "--write", file)
        assert "address 2: talks at 19200, its bus at 9600" in found
        done("scan", "--port", port.path, "--write", file)
        devices = {each["name"]: each for each in tomllib.loads(file.read_text())["device"]}
        assert {(name, each.get("unit")) for name, each in devices.items()} == {
            ("bay-01", 1),
            ("bay-02", 4),
            ("bin-01", None),
        }

        done("calibrate", file, "bin-01", "--empty", "--height", "600", "--count", "10")
        done("calibrate", file, "bay-01", "--free", "--count", "10")
        done("calibrate", file, "bay-02", "--free", "--count", "10")
        page = free_port()
        file.write_text(file.read_text() + MORE.format(folder=own, port=page))
        write_pin(own / "page.pin", PIN)
        assert gampong("edge", "check", file).returncode == 0

        agent = stack.enter_context(Gampong("agent", own, "edge", "run", str(file)))
        agent.said("event=page ")
        phone = Phone(page)
        assert phone.enter()[0] in (200, 503)  # 503: still beginning
        wait(shows(phone, "/live/status", "connected"))
        for device in devices:
            phone.post("/follow", device=device)
            wait(shows(phone, f"/live/way?name={device}", "Stored in the city"))
            phone.post(
                "/commission", device=device, verdict="pass", place="5.5577, 95.3222", note="gate"
            )
        sheet = phone.get("/sheet")[1]
        assert "3 passed" in sheet
        took_s = time.monotonic() - began

        points = asyncio.run(points_of(settings))
        assert set(devices) <= set(points)
        for name in devices:
            assert points[name][-1].tags["gateway"] == NAME
            distance_mm = points[name][-1].fields["distance_mm"]
            assert distance_mm == (MM_EMPTY if name == "bin-01" else MM_FREE)
        print(f"\nfrom `gateway add` to three devices commissioned: {took_s:.0f} s")
