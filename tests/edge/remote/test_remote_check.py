"""What may come from afar: checked like a technician's own file, and refused where it could cut the
site off or give away what is on it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.configuration import load_configuration
from edge.remote_check import checked, refusal_of
from tests.secret_file import write_secret
from wire.remote import TEXT_BYTES_MAX, Desired, text_digest

TEXT = """
[gateway]
name = "gateway-1"
site = "pasar"

[broker]
host = "mqtt.example.org"

[outbox]
path = "/tmp/outbox.db"
bytes_max = 10000000

[[link]]
type = "modbus"
name = "bus"
port = "/dev/ttyUSB0"

[[link]]
type = "hotspot"
name = "wifi"
url = "http://192.168.1.1/ubus"
password_file = "{password}"

[[device]]
name = "bay-1"
driver = "dfrobot_sen0591"
link = "bus"
unit = 1

[[device]]
name = "hotspot-1"
driver = "openwrt_ap"
link = "wifi"
poll_interval_s = 60
"""


@pytest.fixture
def text(tmp_path: Path) -> str:
    write_secret(tmp_path / "password", "secret")
    return TEXT.format(password=tmp_path / "password")


def refused(text: str, wanted: str, base: str = "") -> str:
    return refusal_of(Desired(1, wanted, base), text, load_configuration(text, "gateway.toml"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("unit = 1", "unit = 7\nlabel = 'Petak 1'\npoll_interval_s = 5"),
        ('site = "pasar"', 'site = "pasar"\nlabel = "Pasar"'),
        ("[[link]]", "[uplink]\nconfirm_timeout_s = 60\n\n[[link]]"),
        ("bytes_max = 10000000", "bytes_max = 20000000\nseal_interval_s = 120"),
        ('port = "/dev/ttyUSB0"', 'port = "/dev/ttyUSB1"\nbaudrate = 19200'),
    ],
)
def test_what_a_site_can_live_with_is_tried(text, old, new):
    assert refused(text, text.replace(old, new, 1)) == ""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("mqtt.example.org", "mqtt.example.com", "[broker] can only be changed at the site"),
        ("[broker]", "[broker]\nport = 8883", "[broker]"),
        ('name = "gateway-1"', 'name = "gateway-2"', "gateway.name"),
        ('site = "pasar"', 'site = "simpang"', "gateway.site"),
        ("/tmp/outbox.db", "/tmp/other.db", "outbox.path"),
        ("bytes_max = 10000000", "bytes_max = 5000000", "outbox.bytes_max"),
        ("[outbox]", "[time]\ntrust = 'system'\n[outbox]", "[time]"),
        ("[outbox]", "[metrics]\nlisten = '0.0.0.0:9464'\n[outbox]", "[metrics]"),
        ("[outbox]", "[remote]\ntrial_s = 86400\n[outbox]", "[remote]"),
        ("[outbox]", "[page]\nhost = '0.0.0.0'\n[outbox]", "[page]"),
        ("192.168.1.1", "203.0.113.7", "link wifi has password_file"),
        ("unit = 1", "unit = 300", "unit"),
        ("dfrobot_sen0591", "no_such_driver", "no such driver"),
        ("[outbox]", "[outbox", "not TOML"),
        ("unit = 1", "unit = 1\nshoe_size = 3", "shoe_size"),
    ],
)
def test_what_could_cut_the_site_off_is_refused_with_its_reason(text, old, new, said):
    assert said in refused(text, text.replace(old, new, 1))


def test_a_new_link_cannot_have_a_file_of_the_gateway_sent_somewhere(text):
    key = "/etc/gampong/gateway.key"
    added = (
        text
        + f"""
[[link]]
type = "routeros"
name = "thief"
url = "https://203.0.113.7"
password_file = "{key}"
"""
    )
    assert key in refused(text, added) or "password_file" in refused(text, added)


def test_a_password_that_is_not_there_any_more_is_found_before_it_is_tried(text, tmp_path):
    write_secret(tmp_path / "gone", "x")
    there = (
        text
        + f"""
[[link]]
type = "snmp"
name = "wifi-2"
host = "192.168.3.1"
community_file = "{tmp_path / "gone"}"
"""
    )
    now = checked(there, "gateway.toml")
    assert refusal_of(Desired(1, there), there, now) == ""


def test_a_text_made_from_another_than_the_one_in_force_is_refused(text):
    calibrated = text + "# calibrated\n"
    assert refused(text, text.replace("unit = 1", "unit = 2"), text_digest(text)) == ""
    why = refused(calibrated, text.replace("unit = 1", "unit = 2"), text_digest(text))
    assert "made from another text" in why


def test_a_text_without_end_is_refused(text):
    assert "larger than" in refused(text, text + "#" * TEXT_BYTES_MAX)


def test_no_file_that_only_the_desired_text_names_is_opened_or_told_of(text, tmp_path):
    # A pipe that nobody writes to: whoever opens it waits for ever.
    pipe, missing = tmp_path / "pipe", tmp_path / "missing"
    os.mkfifo(pipe)
    answers = set()
    for file in ("/dev/zero", pipe, missing, tmp_path, tmp_path / "password"):
        link = f"""
[[link]]
type = "snmp"
name = "wifi-2"
host = "192.168.3.1"
community_file = "{file}"
"""
        server = f"""
[[link]]
type = "things_stack"
name = "things"
broker = {{ password_file = "{file}", tls = {{ ca_file = "{file}" }} }}
"""
        decoder = f"""
[field_map.acme]
kind = "waste_container"
decoder = "{file}"
fields.filling_level = {{ from = "level" }}
"""
        broker = text.replace("[broker]", f'[broker]\npassword_file = "{file}"')
        wanted = (text + link, text + server, text + decoder, broker)
        answers.add(tuple(refused(text, one) for one in wanted))
    (answer,) = answers  # the same whatever is there
    assert all("can only be changed at the site" in why for why in answer)
    assert not any(str(tmp_path) in why for why in answer)


def test_a_file_of_the_text_in_force_that_is_gone_is_found_before_it_is_tried(tmp_path):
    there = SIGNED.format(folder=tmp_path)
    wanted = there.replace("[gateway]", "[gateway]\nlabel = 'Pasar'")
    for name in ("pay.secret", "hook.secret"):
        (tmp_path / name).write_text("a secret long enough")
        (tmp_path / name).chmod(0o600)
    assert refused(there, wanted) == ""
    (tmp_path / "pay.secret").unlink()
    assert "pay.secret" in refused(there, wanted)


SIGNED = """
[gateway]
name = "gateway-1"
site = "pasar"

[field_map.qris]
kind = "payment"
fields.amount_idr = {{ from = "gross_amount" }}
fields.transaction = {{ from = "transaction_id" }}
time = {{ from = "settlement_time" }}

[[link]]
type = "json"
name = "pay"
broker = {{}}
[link.signature]
secret_files = ["{folder}/pay.secret"]

[[link]]
type = "webhook"
name = "hook"
[link.signature]
secret_files = ["{folder}/hook.secret"]

[[device]]
name = "terminal-1"
driver = "qris"
link = "pay"
topic = "payments"

[[device]]
name = "terminal-2"
driver = "qris"
link = "hook"
topic = "payments"
"""
JSON_SIGNED = """broker = {{}}
[link.signature]
secret_files = ["{folder}/pay.secret"]
"""
HOOK = """type = "webhook"
name = "hook"
[link.signature]
secret_files = ["{folder}/hook.secret"]
"""
UNSIGNED = """
[[link]]
type = "json"
name = "open"
broker = {}
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (JSON_SIGNED, "broker = {{}}\n", "link pay has secret_files now"),
        (HOOK, 'type = "json"\nname = "hook"\nbroker = {{}}\n', "link hook has"),
        ('"{folder}/pay.secret"', '"{folder}/hook.secret"', "link pay has secret_files"),
        ("secret_files", "within_s = 9999.0\nsecret_files", "link pay has secret_files"),
    ],
)
def test_a_signed_link_is_never_less_signed_from_afar(tmp_path, old, new, said):
    text = SIGNED.format(folder=tmp_path)
    old, new = old.format(folder=tmp_path), new.format(folder=tmp_path)
    assert old in text
    assert said in refused(text, text.replace(old, new, 1))


def test_a_signed_link_cannot_go_from_afar_nor_its_devices_to_an_open_one(tmp_path):
    text = SIGNED.format(folder=tmp_path)
    moved = text.replace('link = "pay"', 'link = "open"') + UNSIGNED
    assert "device terminal-1 has a signed link" in refused(text, moved)
    signed = JSON_SIGNED.format(folder=tmp_path)
    gone = moved.replace('[[link]]\ntype = "json"\nname = "pay"\n' + signed, "")
    assert "link pay is signed: it can only be changed at the site" in refused(text, gone)


def test_a_signed_device_is_not_retired_from_afar_to_be_added_again_where_nobody_signs(tmp_path):
    text = SIGNED.format(folder=tmp_path)
    terminal = text[text.index('[[device]]\nname = "terminal-1"') :]
    terminal = terminal[: terminal.index('[[device]]\nname = "terminal-2"')]
    retired = text.replace(terminal, "")
    assert "device terminal-1 has a signed link: whether it is there" in refused(text, retired)
    # At the site it can go. What comes back, or another in its place, comes to a signed link.
    opened = retired + UNSIGNED
    for name in ("terminal-1", "terminal-9"):
        again = opened + terminal.replace("pay", "open").replace("terminal-1", name)
        assert f"device {name} is a payment of a link that isn't signed" in refused(retired, again)
        assert f"device {name} is a payment of a link that isn't signed" in refused(opened, again)


def test_payments_come_from_afar_to_an_open_link_only_where_a_technician_has_put_some(tmp_path):
    here = SIGNED[: SIGNED.index("[[link]]")].format() + UNSIGNED
    terminal = '[[device]]\nname = "{}"\ndriver = "qris"\nlink = "open"\ntopic = "{}"\n'
    there = here + terminal.format("terminal-1", "a")
    more = there + terminal.format("terminal-2", "b")
    assert refused(there, more) == ""
    elsewhere = more.replace("broker = {}", 'broker = { host = "mqtt.example" }')
    assert "isn't signed" in refused(there, elsewhere)
    level = here.replace('"payment"', '"waste_container"')  # what a map makes of it counts, too
    level = (
        level[: level.index("fields.")] + 'fields.filling_level = { from = "level" }\n' + UNSIGNED
    )
    level += terminal.format("bin-1", "a")
    assert "device bin-1 is a payment" in refused(level, there.replace("terminal-1", "bin-1"))


def test_a_link_with_a_password_cannot_become_one_without_but_may_go(text):
    (password,) = (line for line in text.splitlines() if line.startswith("password_file"))
    assert "link wifi has password_file now" in refused(text, text.replace(password, ""))
    link, device = text.index('[[link]]\ntype = "hotspot"'), text.index("[[device]]")
    gone = text[:link] + text[device : text.index('[[device]]\nname = "hotspot-1"')]
    assert refused(text, gone) == ""
