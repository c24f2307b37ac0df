"""Links made from a whole configuration."""

from __future__ import annotations

from edge.configuration import load_configuration
from edge.links.make import make_links
from tests.edge.links.heard import Heard
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

[[device]]
name = "ap-1"
driver = "openwrt_ap"
link = "corner"
"""


def test_each_configured_link_with_devices_is_made():
    configuration = load_configuration(TOML, "gateway.toml")
    links = make_links(configuration, Heard(), SystemClock())
    assert [link.name for link in links] == ["bays", "bin", "lns", "corner"]
    assert {link.status().state for link in links} == {"down"}
    assert {link.status().detail for link in links} == {"not started"}
