"""The city as data, and the gateways' files made from it."""

from __future__ import annotations

import math
import stat
from collections import Counter

import pytest

from devices.driver import load_driver
from devices.kinds import KINDS
from edge.configuration import load_configuration
from simulators.city import City
from simulators.endpoints import endpoints_of
from simulators.gateway_files import write_gateway_files
from wire.configuration import Broker, Tls

CLOUD, SITE = Broker(port=21883), Broker(port=31883)


def configurations(city, folder, cloud=CLOUD):
    paths = write_gateway_files(city, folder, cloud_broker=cloud, site_broker=SITE)
    return [load_configuration(path.read_text(), str(path)) for path in paths]


def test_the_demo_is_40_bays_30_bins_and_2_corners_on_two_gateways():
    city = City.demo()
    assert [gateway.name for gateway in city.gateways] == ["mahirah-01", "lhokseumawe-01"]
    assert Counter(bay.driver for bay in city.bays) == {"dfrobot_sen0591": 16, "bosch_tps110": 24}
    assert Counter(one.driver for one in city.bins) == {
        "dfrobot_a02yyuw": 10,
        "milesight_em400": 20,
    }
    assert len(city.corners) == 2
    kinds = Counter(load_driver(one.driver).kind for one in city.instruments)
    others = {"parking_spot", "waste_container", "wifi_access_point", "payment", "waste_deposit"}
    assert set(kinds) == KINDS.keys() - others
    assert [len(gateway.terminals) for gateway in city.gateways] == [3, 3]
    mahirah, lhokseumawe = city.gateways
    assert mahirah.buses == ("ttyBUS-mahirah-01", "ttyBUS-mahirah-01-meter-01")
    assert lhokseumawe.buses == ()


@pytest.mark.parametrize("city", [City.demo(), City.of(bays=500, bins=300, corners=50)])
def test_nothing_in_the_city_has_the_name_of_another(city):
    devices = city.devices
    assert len({one.name for one in devices}) == len(devices)
    radios = [one.dev_eui for gateway in city.gateways for one in gateway.by_radio]
    assert len(set(radios)) == len(radios)
    assert len({gateway.application_id for gateway in city.gateways}) == len(city.gateways)


def test_a_larger_city_has_as_many_devices_as_were_asked_for():
    city = City.of(bays=500, bins=300, corners=50)
    assert (len(city.bays), len(city.bins), len(city.corners)) == (500, 300, 50)


def test_devices_stand_within_a_short_walk_of_their_gateway():
    for gateway in City.demo().gateways:
        for place in [one.place for one in gateway.devices]:
            north = (place.latitude - gateway.place.latitude) * 111_200
            east = (place.longitude - gateway.place.longitude) * 111_200
            assert math.hypot(north, east) < 600
    places = [(one.place.latitude, one.place.longitude) for one in City.demo().bays]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("city", [City.demo(), City.of(bays=500, bins=300, corners=50)])
def test_every_gateway_file_is_a_configuration_the_agent_takes(city, tmp_path):
    loaded = configurations(city, tmp_path)
    names = [device.name for one in loaded for device in one.device]
    tills = [one.name for gateway in city.gateways for one in gateway.terminals]
    assert sorted(names) == sorted([*(one.name for one in city.devices), *tills])
    assert all(device.label and device.place for one in loaded for device in one.device)
    for one, gateway in zip(loaded, city.gateways, strict=True):
        assert one.gateway.name == gateway.name
        assert one.broker.port == CLOUD.port


def test_a_gateway_file_can_name_certificates(tmp_path):
    tls = Tls(ca_file="/ca.pem", certificate_file="/me.pem", key_file="/me.key")
    loaded = configurations(City.demo(), tmp_path, Broker(host="cloud", port=8883, tls=tls))
    assert loaded[0].broker.tls == tls


def test_the_endpoints_of_corners_are_picked_once(tmp_path):
    city = City.demo()
    first = endpoints_of(city, tmp_path)
    assert endpoints_of(city, tmp_path) == first
    ports = [(e.ubus, e.portal, e.connect) for e in first.values()]
    assert len({port for e in first.values() for port in (e.dns, e.snmp)}) == 4
    assert len({port for three in ports for port in three}) == 6


def test_a_password_is_readable_for_its_owner_alone(tmp_path):
    configurations(City.demo(), tmp_path)
    for path in (*tmp_path.glob("*.password"), tmp_path / "corners.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
