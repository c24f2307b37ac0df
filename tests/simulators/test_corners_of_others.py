"""Access points that aren't OpenWrt's, asked by the gateway's own links over real sockets."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from devices.driver import load_driver
from devices.reading import Payload
from edge.configuration import load_configuration
from edge.link_settings import RouterOs, SnmpAgent
from edge.links.access_point import AccountRefused, NoAnswer
from edge.links.routeros import RouterOsRest
from edge.links.snmp import SnmpPoint
from simulators.running import RunningCity
from simulators.truth import read_truth
from tests.secret_file import write_secret
from wire.clock import SystemClock

WAIT_S = 5.0


def asked(city, within_s=WAIT_S, **changed):
    """What the link that the city's gateway file names puts together in one round."""
    [path] = city.gateway_files
    [settings] = load_configuration(path.read_text(), str(path)).link
    settings = msgspec.structs.replace(settings, **changed)
    assert isinstance(settings, RouterOs | SnmpAgent)
    clock = SystemClock()
    point: RouterOsRest | SnmpPoint
    if isinstance(settings, RouterOs):
        point = RouterOsRest(settings, clock)
    else:
        point = SnmpPoint(settings, clock)

    async def one_round():
        parts = dict.fromkeys(point.parts, msgspec.Raw(b"null"))
        await point.ask(parts, clock.monotonic() + within_s)
        return msgspec.json.encode({**parts, "probe": {}})

    return Payload(asyncio.run(one_round()))


@pytest.mark.parametrize("name", ["mikrotik_routeros", "snmp_ap"])
def test_a_gateway_reads_what_the_truth_says(name, tmp_path, seed):
    with RunningCity(name, seed=seed, directory=tmp_path) as city:
        [values] = load_driver(name).decode(asked(city))
    *_, row = read_truth(tmp_path / "truth.jsonl")
    said = {field: value for field, value in row.fields.items() if field in values.fields}
    assert {"clients", "rx_bytes", "tx_bytes", "uptime_s"} <= said.keys()
    assert said.items() <= values.fields.items()


def test_a_wrong_community_is_met_with_silence(tmp_path):
    wrong = tmp_path / "community"
    write_secret(wrong, "wrong")
    with RunningCity("snmp_ap") as city, pytest.raises(NoAnswer):
        asked(city, within_s=0.5, community_file=str(wrong))
    with RunningCity("mikrotik_routeros") as city, pytest.raises(AccountRefused):
        asked(city, password_file=str(wrong))
