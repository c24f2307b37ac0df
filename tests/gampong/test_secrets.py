"""No secret leaves its file: secrets are planted wherever one may stand, the line runs, fails and
is asked about, and then everything that it left behind, said and showed is searched for them."""

from __future__ import annotations

import base64
import gzip
import secrets
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from tests.line.listening import until
from tests.line.street import BROKER_CONFIG, Street
from tests.line.trusted import PLUGINS, done, gampong
from tests.processes import Gampong
from tests.servers import Mosquitto, find, free_port

LINKS = """
[[link]]
type = "hotspot"
name = "wifi"
url = "http://127.0.0.1:{closed}/ubus"
password_file = "{folder}/hotspot"

[[link]]
type = "snmp"
name = "wifi-2"
host = "127.0.0.1:{closed}"
community_file = "{folder}/community"

[[device]]
name = "hotspot-01"
driver = "openwrt_ap"
link = "wifi"
poll_interval_s = 1

[[device]]
name = "hotspot-02"
driver = "snmp_ap"
link = "wifi-2"
poll_interval_s = 1
"""
ALERTS = """
[[alerts.telegram]]
chat = "1"
token_file = "{folder}/telegram"
api_url = "http://127.0.0.1:{closed}"

[[alerts.webhook]]
url = "http://127.0.0.1:{closed}/hook"
token_file = "{folder}/webhook"
"""


class Planted:
    """Secrets in files of a folder, each found again by what it is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.values: dict[str, bytes] = {}

    def plant(self, name: str) -> str:
        value = f"planted-{name}-{secrets.token_hex(8)}"
        (self.folder / name).write_text(value)
        (self.folder / name).chmod(0o600)
        self.values[name] = value.encode()
        return value

    def note_key(self, file: Path) -> None:
        """A private key: its PEM body, and the number itself as anybody might print it."""
        data = file.read_bytes()
        body = b"".join(line for line in data.splitlines() if b"-----" not in line)
        self.values[f"{file.parent.name}/{file.name}"] = body[40:80]
        if b"ENCRYPTED" not in data:
            key = serialization.load_pem_private_key(data, None)
            der = key.private_bytes(
                serialization.Encoding.DER,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            self.values[f"{file.parent.name}/{file.name}, base64"] = base64.b64encode(der)[44:84]

    def found_in(self, seen: dict[str, bytes]) -> list[tuple[str, str]]:
        return [
            (where, name)
            for where, data in seen.items()
            for name, value in self.values.items()
            if value in data
        ]


def shown_of(process: Gampong) -> bytes:
    """What any user of the machine sees of a process, and what its own user does."""
    place = Path(f"/proc/{process.pid}")
    return (place / "cmdline").read_bytes() + (place / "environ").read_bytes()


def asked(*words: str | Path) -> bytes:
    """All that a command says."""
    run = gampong(*words)
    return (run.stdout + run.stderr).encode()


def test_no_planted_secret_is_in_logs_process_lists_messages_bundles_or_errors(
    tmp_path: Path,
) -> None:
    planted, seen = Planted(tmp_path / "secrets"), dict[str, bytes]()
    closed = free_port()
    passwords = tmp_path / "passwords"
    passwords.write_text(f"city:{planted.plant('broker')}\n")
    tool = find("mosquitto_passwd", "apt-get install mosquitto")
    subprocess.run([tool, "-U", str(passwords)], check=True, timeout=30)
    passwords.chmod(0o600)
    for name in ("hotspot", "community", "telegram", "webhook", "token"):
        planted.plant(name)
    config = f"{BROKER_CONFIG}\nallow_anonymous false\npassword_file {passwords}"
    login = f'username = "city"\npassword_file = "{planted.folder}/broker"'
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(tmp_path / "cloud", 0, config))
        street = Street(tmp_path, stack, cloud=broker, ingest_tls=login)
        street.start_ingestor()
        street.configure_gateway(login)
        place = {"closed": closed, "folder": planted.folder}
        text = street.gateway_file.read_text() + LINKS.format(**place)
        street.gateway_file.write_text(text)
        street.start_agent(drain_s=0.5)
        until(street.points, "readings are stored")
        processes = [street.agent, street.ingestor, *failing(tmp_path, stack, street, planted)]
        seen |= {f"/proc of {process.name}": shown_of(process) for process in processes}
        packed = tmp_path / "bundle.tar.gz"
        file = street.gateway_file
        seen["doctor"] = asked("doctor", file, "--bundle", packed)
        seen["bundle"] = gzip.decompress(packed.read_bytes())
        seen["check"] = asked("edge", "check", file)
        street.agent.stop()
        seen |= broken(tmp_path, street, planted)
        seen |= {process.name: process.log.read_bytes() for process in processes}
    seen |= {
        path.name: path.read_bytes()
        for path in tmp_path.iterdir()
        if path.is_file() and path != passwords
    }
    assert b"wifi" in seen["agent-2"]  # it did try, and said that it failed
    assert b"away" in seen["to-nowhere"]
    for name, command in (
        ("hotspot", "edge check"),
        ("broker", "edge check"),
        ("broker", "ingest run"),
        ("token", "ingest run"),
    ):
        remedy = f"Run: chmod 640 {planted.folder}/{name}".encode()
        assert remedy in seen[f"{name} open: {command}"]
    assert planted.found_in(seen) == []
    assert planted.found_in({"itself": (planted.folder / "token").read_bytes()}) != []


def failing(tmp_path: Path, stack: ExitStack, street: Street, planted: Planted) -> list[Gampong]:
    """An ingestor and a watch whose database is away, and whose receivers are, too."""
    place = {"closed": free_port(), "folder": planted.folder}
    text = (tmp_path / "ingest.toml").read_text()
    head = text[: text.index("[store]")]
    store = (
        f'[store]\ntype = "influxdb2"\nurl = "http://127.0.0.1:{place["closed"]}"\norg = "x"\n'
        f'token_file = "{planted.folder}/token"\n\n[ingest]\nregistry = "none"\ngroup = "other"\n\n'
        f'[dead_letters]\npath = "{tmp_path}/other.jsonl"\n\n'
        f'[watch]\nregistry_path = "{tmp_path}/registry.json"\n'
    )
    (tmp_path / "nowhere.toml").write_text(head + store + ALERTS.format(**place))
    ingestor = stack.enter_context(Gampong("to-nowhere", tmp_path, "ingest", "run", "nowhere.toml"))
    watch = stack.enter_context(Gampong("watch-nowhere", tmp_path, "watch", "nowhere.toml"))
    ingestor.said("event=probe")
    watch.said("event=")
    return [ingestor, watch]


def begun(toml: Path) -> bytes:
    """What an ingestor says that ends at once, or within a second is told to."""
    words = [sys.executable, "-m", "gampong", "ingest", "run", str(toml)]
    run = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        run.wait(1.0)
    except subprocess.TimeoutExpired:
        run.terminate()
    return run.communicate(timeout=30)[0]


def broken(tmp_path: Path, street: Street, planted: Planted) -> dict[str, bytes]:
    """What commands say when a file of secrets isn't what it should be."""
    seen: dict[str, bytes] = {}
    text = street.gateway_file.read_text()
    for name, label in (
        ("broker", "binary"),
        ("broker", "lines"),
        ("hotspot", "binary"),
        ("community", "lines"),
        ("token", "lines"),
        ("broker", "open"),
        ("hotspot", "open"),
        ("token", "open"),
    ):
        file, value = planted.folder / name, planted.values[name]
        more = {"binary": b"\xff\xfe", "lines": b"\n" + value, "open": b""}
        file.write_bytes(value + more[label])
        file.chmod(0o644 if label == "open" else 0o600)
        if name != "token":
            seen[f"{name} {label}: edge check"] = asked("edge", "check", street.gateway_file)
        if name in ("broker", "token"):
            ingest = tmp_path / "nowhere.toml"
            ends = label == "open"  # by itself
            said = asked("ingest", "run", ingest) if ends else begun(ingest)
            seen[f"{name} {label}: ingest run"] = said
        file.write_bytes(value)
        file.chmod(0o600)
    (tmp_path / "wrong.toml").write_text(text.replace("[broker]", "[brokre]", 1))
    seen["a wrong key"] = asked("edge", "check", tmp_path / "wrong.toml")
    return seen


def test_no_command_of_the_authority_shows_its_secrets(tmp_path: Path) -> None:
    planted, seen = Planted(tmp_path / "secrets"), dict[str, bytes]()
    port = free_port()
    planted.plant("passphrase")
    settings = tmp_path / "authority.toml"
    settings.write_text(
        f'[authority]\ncity = "banda-aceh"\nfolder = "{tmp_path}/authority"\n'
        f'passphrase_file = "{planted.folder}/passphrase"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {port}\n'
        f'folder = "{tmp_path}/served"\nplugin = "{PLUGINS[0]}"\nreload = []\n'
    )
    seen["authority"] = done("gateway", "authority", settings).encode()
    add = ("gateway", "add", settings, "mahirah-01", "--site", "pasar")
    bundle = tmp_path / "a.bundle"
    conf = (tmp_path / "served" / "mosquitto.conf").read_text()
    with Mosquitto(tmp_path / "broker", port, conf) as broker:
        seen["add"] = asked(*add, "--bundle", bundle)
        seen["enrol"] = asked("edge", "enrol", bundle, "--folder", tmp_path / "gateway")
        with Gampong("renew", tmp_path, "gateway", "renew", str(settings)) as service:
            service.said("event=listening")
            seen["/proc of renew"] = shown_of(service)
        seen["renew"] = service.log.read_bytes()
        for words in (("list", "--json"), ("access",), ("rotate", "viewer"), ("revoke", "nobody")):
            word, *rest = words
            seen[word] = asked("gateway", word, settings, *rest)
        (planted.folder / "passphrase").chmod(0o644)
        seen["readable for all"] = asked(*add, "--bundle", bundle)
        assert b"Run: chmod 640" in seen["readable for all"]
        (planted.folder / "passphrase").chmod(0o600)
        planted.plant("wrong")
        (planted.folder / "wrong").replace(planted.folder / "passphrase")
        seen["wrong passphrase"] = asked(*add, "--bundle", bundle)
        assert b"Is the passphrase the one" in seen["wrong passphrase"]
        seen["broker"] = broker.log.read_bytes()
    for file in [*(tmp_path / "authority").glob("*.key"), tmp_path / "gateway" / "gateway.key"]:
        planted.note_key(file)
    for public in (tmp_path / "authority").iterdir():
        if public.suffix in (".pem", ".json"):
            seen[public.name] = public.read_bytes()
    assert planted.found_in(seen) == []
