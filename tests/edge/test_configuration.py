"""A gateway's configuration is checked whole, and every refusal names its key and its remedy."""

from __future__ import annotations

import pytest

from devices.reading import Payload, Values
from edge.configuration import load_configuration
from edge.drivers import driver_of
from edge.intake import Intake
from edge.records import Tally
from edge.status import inventory
from wire.clock import SystemClock
from wire.configuration import ConfigurationError

HEAD = """
[gateway]
name = "gw-1"
site = "pasar"

[[link]]
type = "modbus"
name = "bus"
port = "/dev/ttyUSB0"
{bus}

[[link]]
type = "chirpstack"
name = "radio"
broker = {{}}

[[link]]
type = "routeros"
name = "mikrotik"
url = "{url}"
{mikrotik}

[[link]]
type = "snmp"
name = "snmp"
host = "{host}"
{snmp}

[register_map.meter]
kind = "energy_meter"
value = [{{ field = "voltage_v", register = 0, scale = 0.1 }}]

[register_map.zone]
kind = "parking_spot"
stride = {stride}
value = [{{ field = "occupied", register = 100, above = {above} }}]
"""


def toml(
    *devices: str,
    bus="",
    url="https://192.0.2.1",
    mikrotik="",
    host="192.0.2.2",
    snmp="",
    stride=1,
    above=150,
) -> str:
    head = HEAD.format(
        bus=bus, url=url, mikrotik=mikrotik, host=host, snmp=snmp, stride=stride, above=above
    )
    return "\n[[device]]\n".join((head, *devices))


def device(name: str, driver: str, unit: int, more: str = "") -> str:
    return f'name = "{name}"\ndriver = "{driver}"\nlink = "bus"\nunit = {unit}\n{more}\n'


def radio(name: str, driver: str, more: str = "", dev_eui="0004a30b001c0530") -> str:
    return f'name = "{name}"\ndriver = "{driver}"\nlink = "radio"\ndev_eui = "{dev_eui}"\n{more}\n'


SEN0591, URM, PZEM = "dfrobot_sen0591", "dfrobot_urm", "peacefair_pzem"

GOOD = {
    "alike on one bus": toml(device("a", SEN0591, 1), device("b", SEN0591, 2)),
    "unlike, but the port says how": toml(
        device("a", SEN0591, 1), device("b", PZEM, 2), bus="baudrate = 9600"
    ),
    "nodes behind one unit": toml(
        device("a", "zone", 1, "node = 1"),
        device("b", "zone", 1, "node = 2"),
        device("c", "zone", 1),
    ),
    "two maps of one unit": toml(device("a", "zone", 1), device("b", "meter", 1)),
    "a radio gateway's nodes": toml(
        device("a", "banner_dx80_m_gage", 1, "node = 1"),
        device("b", "banner_dx80_m_gage", 1, "node = 47"),
    ),
    "channels of one sensor": toml(
        radio("a", "milesight_vs321", 'channel = "1"'),
        radio("b", "milesight_vs321", 'channel = "2"'),
    ),
    "a pinned certificate": toml(mikrotik='fingerprint = "' + "0A:" * 31 + '0a"'),
    "two radios of one access point": toml()
    + '[[link]]\ntype = "hotspot"\nname = "corner"\nurl = "http://192.0.2.3/ubus"\n'
    + 'interface = ["wlan0", "wlan1"]\n',
    "two oids of stations": toml(snmp='client_oids = ["1.3.6.1.4.1.1", ".1.3.6.1.4.1.2"]'),
}

BAD = {
    "two speeds": (
        toml(device("a", SEN0591, 1), device("b", PZEM, 2)),
        ["link bus.baudrate", "a (dfrobot_sen0591) has 115200", "b (peacefair_pzem) has 9600"],
    ),
    "an address twice": (
        toml(device("a", SEN0591, 7), device("b", SEN0591, 7)),
        ["unit", "7 twice on bus: a, b", "address of its own"],
    ),
    "a sensor at the address of a gateway": (
        toml(
            device("a", "banner_dx80_m_gage", 1, "node = 1"),
            device("b", URM, 1),
        ),
        ["unit", "1 twice on bus: a, b"],
    ),
    "a node twice": (
        toml(device("a", "zone", 1, "node = 3"), device("b", "zone", 1, "node = 3")),
        ["node", "zone of unit 1 at node 3 twice on bus", "node of its own"],
    ),
    "a node of a lone sensor": (
        toml(device("a", SEN0591, 1, "node = 3")),
        ["device[0] (a).node", "dfrobot_sen0591 has no nodes"],
    ),
    "a node beyond all registers": (
        toml(device("a", "zone", 1, "node = 65500")),
        ["device[0] (a).node", "65500 can't be"],
    ),
    "a node below zero": (toml(device("a", "zone", 1, "node = -1")), ["(a).node", "-1 can't be"]),
    "no address": (toml(device("a", SEN0591, 0)), ["(a).unit", "1 to 247"]),
    "two drivers of one radio": (
        toml(radio("a", "milesight_vs321", 'channel = "1"'), radio("b", "bosch_tps110")),
        [
            "dev_eui 0004a30b001c0530",
            "a has driver milesight_vs321, b bosch_tps110",
            "dev_eui",
        ],
    ),
    "a radio twice": (
        toml(radio("a", "bosch_tps110"), radio("b", "bosch_tps110")),
        ["dev_eui", "0004a30b001c0530", "twice"],
    ),
    "no such driver": (
        toml(device("a", "zones", 1)),
        ["(a).driver", "no such driver", "meter, zone, aj_sr04m"],
    ),
    "a sensor at another link": (
        toml(radio("a", SEN0591)),
        ["(a).link", "'radio' doesn't fit", "'modbus'"],
    ),
    "a map that can't be": (
        toml(above=70_000),
        ["register_map.zone.value[0].above", "occupied = 1"],
    ),
    "a map with a driver's name": (
        toml().replace("register_map.meter", "register_map.peacefair_pzem"),
        ["register_map.peacefair_pzem", "a driver has that name"],
    ),
    "a map's key that isn't one": (
        toml().replace("scale = 0.1", "scaling = 0.1"),
        ["register_map.meter.value[0]: ", "unknown field `scaling`"],
    ),
    "a map's type that isn't one": (
        toml().replace("above = 150", "type = 'u8'"),
        ["register_map.zone.value[0].type: ", "'u8'"],
    ),
    "a speed that no port has": (toml(bus="baudrate = 1"), ["link[0] (bus).baudrate", "1 not in"]),
    "no time to answer": (toml(bus="answer_timeout_s = 0"), ["(bus).answer_timeout_s", "0"]),
    "a parity of another name": (toml(bus='parity = "even"'), ["link[0].parity", "even"]),
    "a fingerprint that isn't one": (
        toml(mikrotik='fingerprint = "abc"'),
        ["(mikrotik).fingerprint", "64 hex digits"],
    ),
    "a fingerprint and an authority": (
        toml(mikrotik=f'ca_file = "x.pem"\nfingerprint = "{"0a" * 32}"'),
        ["(mikrotik).ca_file", "beside a fingerprint"],
    ),
    "a fingerprint of nothing": (
        toml(url="http://192.0.2.1", mikrotik=f'fingerprint = "{"0a" * 32}"'),
        ["(mikrotik).fingerprint", "https://"],
    ),
    "an oid by name": (toml(snmp='client_oids = ["ifNumber"]'), ["(snmp).client_oids", "1.3.6.1"]),
    "no host": (toml(host=""), ["(snmp).host", "no host"]),
    "an address that is no URL": (toml(url="192.0.2.1"), ["(mikrotik).url", "https://"]),
    "a port by name": (toml(host="ap:snmp"), ["(snmp).host", "host:port"]),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=list(GOOD))
def test_what_can_be_is_taken(text):
    configuration = load_configuration(text, "gateway.toml")
    for one in configuration.device:
        assert driver_of(configuration, one).name == one.driver


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=list(BAD))
def test_what_cannot_be_is_refused_with_its_place_and_a_remedy(text, words):
    with pytest.raises(ConfigurationError) as error:
        load_configuration(text, "gateway.toml")
    said = str(error.value)
    assert said.startswith("gateway.toml: ")
    assert [word for word in words if word not in said] == [], said
    assert error.value.remedy


def test_a_declared_device_is_taken_in_and_named_in_the_inventory():
    text = toml(device("bay-7", "zone", 1, "node = 7"), stride=2)
    configuration = load_configuration(text, "gateway.toml")
    clock, tally = SystemClock(), Tally()
    intake = Intake(configuration, clock, tally, lambda: True, {})
    driver = driver_of(configuration, configuration.device[0])
    for occupied in (0, 1, 1):
        intake.take_polled("bay-7", driver.encode(Values({"occupied": occupied})))
    (line,) = intake.take_polled("bay-7", driver.encode(Values({"occupied": 0})))
    assert line.text.startswith("parking_spot,device=bay-7,site=pasar,zone=main occupied=0i")
    intake.take_polled("bay-7", Payload(b""))
    (told,) = inventory(configuration).devices
    assert (told.kind, told.driver) == ("parking_spot", "zone")
