"""A secret that others on the machine could read, or somebody else change, is used by no program:
each ends at its start and says which file, which key of its configuration, and what to run."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gampong.cli import main
from tests.line.certificates import Authority
from tests.secret_file import write_secret
from tests.servers import free_port

ENDS_S = 60.0
OPEN = (0o644, 0o604, 0o602, 0o660, 0o620, 0o666)
CLOSED = (0o400, 0o440, 0o600, 0o640)
"""What systemd's credentials have, what our own commands write, what an operator is told to."""

SECRETS = [
    "mqtt",
    "things",
    "api",
    "pay",
    "hotspot",
    "community",
    "token",
    "state",
    "ckan",
    "telegram",
    "mail",
    "hook",
]
SECRETS += ["passphrase", "account", "page"]

GATEWAY = """
[gateway]
name = "gw-1"
site = "pasar"

[broker]
port = {port}
username = "city"
password_file = "{folder}/mqtt"
{tls}

[page]
host = "127.0.0.1"
pin_file = "{folder}/page"

[field_map.qris]
kind = "payment"
fields.amount_idr = {{ from = "gross_amount" }}
fields.transaction = {{ from = "transaction_id" }}
time = {{ from = "settlement_time" }}

[[link]]
type = "webhook"
name = "pay"
signature = {{ secret_files = ["{folder}/pay"] }}

[[link]]
type = "things_stack"
name = "things"
broker = {{ port = {port}, username = "app@ttn", password_file = "{folder}/things" }}
storage = {{ url = "https://things.example", application = "app", api_key_file = "{folder}/api" }}

[[link]]
type = "hotspot"
name = "wifi"
url = "http://127.0.0.1:{port}/ubus"
password_file = "{folder}/hotspot"

[[link]]
type = "snmp"
name = "wifi-2"
host = "127.0.0.1:{port}"
community_file = "{folder}/community"
"""
STORE = """
[store]
type = "influxdb2"
url = "http://127.0.0.1:{port}"
org = "x"
token_file = "{folder}/token"
"""
INGEST = (
    """
[broker]
port = {port}
username = "city"
password_file = "{folder}/mqtt"
{tls}

[dead_letters]
path = "{folder}/dead.jsonl"

[watch]
registry_path = "{folder}/registry.json"

[[alerts.telegram]]
chat = "1"
token_file = "{folder}/telegram"

[[alerts.email]]
host = "127.0.0.1"
sender = "a@b.example"
to = ["c@b.example"]
username = "a"
password_file = "{folder}/mail"

[[alerts.webhook]]
url = "http://127.0.0.1:{port}"
token_file = "{folder}/hook"
"""
    + STORE
)
PAGE = '[accounts]\nfile = "{folder}/accounts.db"\ntoken_file = "{folder}/state"\n' + STORE
OPENDATA = (
    'publisher = "Kota"\n[ckan]\nurl = "http://127.0.0.1:{port}"\ndataset = "kota"\n'
    'token_file = "{folder}/ckan"\n' + STORE
)
AUTHORITY = (
    '[authority]\ncity = "kota"\nfolder = "{folder}/authority"\n'
    'passphrase_file = "{folder}/passphrase"\n[broker]\nhost = "127.0.0.1"\nport = {port}\n'
    'folder = "{folder}/served"\nreload = []\n'
)
TABLES = {"gateway": GATEWAY, "ingest": INGEST, "page": PAGE}
TABLES |= {"opendata": OPENDATA, "authority": AUTHORITY}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with every program's configuration, and every secret in its own file."""
    monkeypatch.chdir(tmp_path)
    tls = Authority(tmp_path / "city").sign("gw-1")
    for name in SECRETS:
        write_secret(tmp_path / name, f"a secret of {name}, long enough")
    write_secret(tmp_path / "key", tls.key_file.read_bytes())
    about = tls._replace(key_file=tmp_path / "key").toml
    for name, text in TABLES.items():
        whole = text.format(folder=tmp_path, port=free_port(), tls=about)
        (tmp_path / f"{name}.toml").write_text(whole)
    # One that went on in spite of it would serve for ever.
    in_the_end = threading.Timer(ENDS_S, lambda: os.kill(os.getpid(), signal.SIGINT))
    in_the_end.start()
    yield tmp_path
    in_the_end.cancel()


EDGE = (
    ("mqtt", "broker.password_file"),
    ("key", "broker.tls.key_file"),
    ("page", "page.pin_file"),
    ("pay", "signature.secret_files"),
    ("things", "broker.password_file"),
    ("api", "storage.api_key_file"),
    ("hotspot", "link.wifi.password_file"),
    ("community", "link.wifi-2.community_file"),
)
CLOUD = (
    ("mqtt", "broker.password_file"),
    ("key", "broker.tls.key_file"),
    ("token", "store.token_file"),
    ("telegram", "alerts.telegram.token_file"),
    ("mail", "alerts.email.password_file"),
    ("hook", "alerts.webhook.token_file"),
)
PROGRAMS = [
    *(("edge run gateway.toml", *secret) for secret in EDGE),
    *(("edge check gateway.toml", *secret) for secret in EDGE),
    *(("ingest run ingest.toml", *secret) for secret in CLOUD),
    *(("watch ingest.toml", *secret) for secret in CLOUD),
    ("ingest replay ingest.toml", "mqtt", "broker.password_file"),
    ("page --config page.toml", "token", "store.token_file"),
    ("page --config page.toml", "state", "accounts.token_file"),
    ("opendata --config opendata.toml", "token", "store.token_file"),
    ("opendata push --config opendata.toml", "ckan", "ckan.token_file"),
    ("gateway authority authority.toml", "passphrase", "authority.passphrase_file"),
    ("account add page.toml malam --password-file account", "account", "--password-file"),
]


@pytest.mark.parametrize(("words", "name", "key"), PROGRAMS)
def test_a_program_with_a_secret_that_is_open_to_others_ends_at_its_start(
    place: Path, capsys: pytest.CaptureFixture[str], words: str, name: str, key: str
) -> None:
    (place / name).chmod(OPEN[len(words + name) % len(OPEN)])
    assert main(words.split()) == 2
    said = capsys.readouterr().err
    file = place / name if name != "account" else Path("account")
    assert f"{file}: {key}: others may reach this secret" in said
    assert f"Run: chmod 640 {file}" in said
    assert "a secret of" not in said


@pytest.mark.parametrize("mode", OPEN)
def test_whoever_else_may_read_or_change_it_it_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str], mode: int
) -> None:
    (place / "mqtt").chmod(mode)
    assert main(["edge", "check", "gateway.toml"]) == 2
    assert f"(mode {mode:04o})" in capsys.readouterr().err


@pytest.mark.parametrize("mode", CLOSED)
def test_secrets_of_the_owner_and_the_group_are_taken_and_certificates_are_for_all(
    place: Path, capsys: pytest.CaptureFixture[str], mode: int
) -> None:
    for name in (*SECRETS, "key"):
        (place / name).chmod(mode)
    for public in (place / "city").glob("*.pem"):
        public.chmod(0o644)
    assert main(["edge", "check", "gateway.toml"]) == 0
    # The cloud's get past them, to what isn't there.
    assert main(["gateway", "add", "authority.toml", "gw-2", "--site", "pasar"]) == 2
    assert main(["opendata", "push", "--config", "opendata.toml"]) == 1
    assert "others may reach" not in capsys.readouterr().err
