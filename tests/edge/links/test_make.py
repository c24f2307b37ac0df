"""Links made from a whole configuration."""

from __future__ import annotations

import asyncio
import termios

from edge.configuration import load_configuration
from edge.links.make import make_links
from tests.edge.links.heard import Heard, running, until
from tests.edge.links.pty_device import PtyDevice
from wire.clock import SystemClock

TOML = """
[gateway]
name = "gw-1"
site = "pasar"

[[link]]
type = "modbus"
name = "bays"
port = "/dev/ttyUSB0"

[[link]]
type = "uart"
name = "bin"
port = "/dev/ttyUSB1"

[[link]]
type = "uart"
name = "spare"
port = "/dev/ttyUSB2"

[[link]]
type = "chirpstack"
name = "lns"
broker = {}

[[link]]
type = "hotspot"
name = "corner"
url = "http://192.0.2.1/ubus"

[[device]]
name = "bay-1"
driver = "dfrobot_sen0591"
link = "bays"
unit = 1

[[device]]
name = "bin-1"
driver = "dfrobot_a02yyuw"
link = "bin"

[[link]]
type = "routeros"
name = "mikrotik"
url = "https://192.0.2.2"

[[link]]
type = "snmp"
name = "other"
host = "192.0.2.3"

[[device]]
name = "ap-1"
driver = "openwrt_ap"
link = "corner"

[[device]]
name = "ap-2"
driver = "mikrotik_routeros"
link = "mikrotik"

[[device]]
name = "ap-3"
driver = "snmp_ap"
link = "other"
"""


def test_each_configured_link_with_devices_is_made():
    configuration = load_configuration(TOML, "gateway.toml")
    links = make_links(configuration, Heard(), SystemClock())
    assert [link.name for link in links] == ["bays", "bin", "lns", "corner", "mikrotik", "other"]
    assert {link.status().state for link in links} == {"down"}
    assert {link.status().detail for link in links} == {"not started"}


PORTS = """
[gateway]
name = "gw-1"
site = "pasar"

[[link]]
type = "modbus"
name = "own"
port = "{0}"
baudrate = 38400

[[link]]
type = "modbus"
name = "drivers"
port = "{1}"

[[link]]
type = "uart"
name = "uart"
port = "{2}"
baudrate = 57600

[[device]]
name = "bay-1"
driver = "dfrobot_sen0591"
link = "own"
unit = 1

[[device]]
name = "meter-1"
driver = "peacefair_pzem"
link = "own"
unit = 2

[[device]]
name = "bin-1"
driver = "dfrobot_urm"
link = "drivers"
unit = 1

[[device]]
name = "bin-2"
driver = "dfrobot_a02yyuw"
link = "uart"
"""


def test_each_port_runs_at_its_own_speed_or_its_drivers(tmp_path):
    async def scenario():
        paths = [tmp_path / name for name in ("own", "drivers", "uart")]
        configuration = load_configuration(PORTS.format(*paths), "gateway.toml")
        links = make_links(configuration, Heard(), SystemClock())
        with (
            PtyDevice(paths[0]) as own,
            PtyDevice(paths[1]) as drivers,
            PtyDevice(paths[2]) as uart,
        ):
            async with running(*links):
                await until(lambda: all(link.status().state == "up" for link in links))
                speeds = [termios.tcgetattr(one._theirs)[4] for one in (own, drivers, uart)]
        assert speeds == [termios.B38400, termios.B19200, termios.B57600]

    asyncio.run(scenario())
