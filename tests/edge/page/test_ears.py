"""What the page keeps of what links hear: sensors' own bytes, and nothing that tells of people."""

from __future__ import annotations

import pytest

from devices.envelope import Uplink
from devices.reading import Payload, Undecodable
from devices.vectors import read_vectors
from edge.configuration import load_configuration
from edge.drivers import driver_of
from edge.page.ears import Ears, entry_of
from edge.page.html import joined
from edge.page.texts import Language, Words
from edge.page.view_device import newest, steps
from edge.page.view_status import DeviceNow
from tests.edge.links.heard import Heard as Sunk
from wire.clock import SystemClock

STATION = "68:2f:67:8b:98:ed"
PAYER = "Cut Nyak"
EUI = "24e124713b493357"
CONFIGURATION = load_configuration(
    f"""
[gateway]
name = "a-01"
site = "s"

[[link]]
type = "hotspot"
name = "wifi"
url = "http://192.0.2.1/ubus"

[[link]]
type = "chirpstack"
name = "lora"
broker = {{}}

[[link]]
type = "json"
name = "topics"
broker = {{}}

[[device]]
name = "corner-1"
driver = "openwrt_ap"
link = "wifi"

[[device]]
name = "bin-1"
driver = "milesight_em400"
link = "lora"
dev_eui = "{EUI}"

[[device]]
name = "terminal-1"
driver = "pay"
link = "topics"
topic = "pay/1"

[field_map.pay]
kind = "payment"
fields = {{ amount_idr = {{ from = "amount" }}, transaction = {{ from = "id" }} }}
time = {{ from = "at" }}
""",
    "gateway.toml",
)
WORDS = Words(Language.ENGLISH)


@pytest.fixture
def ears() -> Ears:
    ears = Ears(SystemClock)
    sunk = Sunk()
    sunk.holding = True  # nobody answers here
    ears.before(sunk)
    ears.begin(CONFIGURATION)
    return ears


def told(ears: Ears, name: str) -> str:
    """Everything that the page could show or keep of a device."""
    (device,) = [one for one in CONFIGURATION.device if one.name == name]
    one = DeviceNow(device, driver_of(CONFIGURATION, device), None, 1000)
    way = ears.ways[name]
    shown = joined(newest(WORDS, one, ears.newest(device), None, 0), steps(WORDS, way))
    return f"{shown} {entry_of(way, 0, True, None, '', True)} {ears.heard} {ears.ways}"


def follow(ears: Ears, name: str) -> None:
    (device,) = [one for one in CONFIGURATION.device if one.name == name]
    ears.follow(CONFIGURATION, device, True)


def test_the_page_shows_no_raw_answer_of_an_access_point(ears):
    payload = read_vectors("openwrt_ap")[0].payload
    assert STATION.encode() in payload.data
    follow(ears, "corner-1")
    ears.polled("corner-1", payload)
    text = told(ears, "corner-1")
    assert "not shown" in text
    assert "rx_bytes" in text
    for form in (
        STATION,
        STATION.replace(":", ""),
        STATION.encode().hex(),
        STATION.encode().hex(" "),
    ):
        assert form not in text
    ears.polled("corner-1", Payload(b'{"clients": "' + STATION.encode() + b'"}'))
    assert STATION not in told(ears, "corner-1")


def test_the_page_shows_no_message_of_a_payment(ears):
    follow(ears, "terminal-1")
    message = (
        f'{{"amount": 2000, "id": "T1", "at": "2026-09-21T14:13:20Z", "payer": "{PAYER}"}}'.encode()
    )
    uplink = Uplink("terminal-1", 0, message, 1_790_000_000_000, decoded=message)
    ears.uplink("topics", uplink, lambda why: None)
    text = told(ears, "terminal-1")
    assert "not shown" in text
    assert "2000" in text
    assert PAYER not in text
    assert PAYER.encode().hex() not in text


def test_a_sensors_bytes_by_radio_are_shown_as_they_left_it(ears):
    follow(ears, "bin-1")
    vector = next(one for one in read_vectors("milesight_em400") if one.refused is None)
    ears.uplink("lora", Uplink(EUI, 85, vector.payload.data, 1_790_000_000_000), lambda why: None)
    assert vector.payload.data.hex(" ")[:100] in told(ears, "bin-1")


def test_what_devices_say_that_nobody_configured_is_not_kept(ears):
    for n in range(10):
        ears.uplink("lora", Uplink(f"{n:016x}", 85, b"x", 1), lambda why: None)
        ears.polled(f"nobody-{n}", Payload(b"x"))
    assert ears.heard == {}


def test_a_frame_that_can_not_be_read_says_why_and_ends_no_way(ears):
    follow(ears, "bin-1")
    ears.uplink("lora", Uplink(EUI, 85, b"\xff", 1_790_000_000_000), lambda why: None)
    assert ears.ways["bin-1"].heard is None
    (device,) = [one for one in CONFIGURATION.device if one.name == "bin-1"]
    heard = ears.newest(device)
    assert heard
    with pytest.raises(Undecodable):
        heard.decoded(device, driver_of(CONFIGURATION, device))
