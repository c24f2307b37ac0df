"""Every configuration that a person writes, and one that comes from afar, for `bench.fuzz`.

Takers: each TOML file, a matrix of ways, a device's edits, a desired configuration (which may
change nothing that can only be changed at the site), the record of a trial.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.fuzz_inputs import mutated_text
from bench.fuzz_scratch import Scratch
from bench.fuzzing import Broken, Taker, as_text, refusing
from bench.running import ROOT
from dashboards.configuration import load as load_page
from dashboards.figures_configuration import FiguresConfiguration, check_figures
from dashboards.grafana.configuration import GrafanaConfiguration
from dashboards.grafana.configuration import check_configuration as check_grafana
from dashboards.opendata.configuration import load as load_opendata
from dashboards.round_configuration import RoundConfiguration, check_round, read_matrix
from edge import trial
from edge.configuration import load_configuration as load_edge
from edge.configuration_file import ConfigurationFile
from edge.device_edits import in_maintenance_until, with_another_sensor
from edge.remote_check import refusal_of
from edge.rewriting import with_device_keys
from ingest.configuration import load_configuration as load_ingest
from ingest.trust.settings import load_configuration as load_trust
from wire.clock import SystemClock
from wire.configuration import ConfigurationError, decode_toml
from wire.remote import ConfigurationState, Desired, text_digest

NOW = datetime(2026, 11, 20, tzinfo=UTC)
STORE = """
[store]
type = "influxdb2"
url = "http://127.0.0.1:8086"
org = "o"
token_file = "/etc/gampong/read.token"
"""
TRUST = """
[authority]
folder = "/tmp/authority"
city = "banda-aceh"
[broker]
host = "mqtt.kota.id"
"""
ALERTS = """
[alerts]
language = "id"
time_zone = "Asia/Jakarta"
opens = "08:00"
closes = "22:00"
quiet_from = "22:00"
quiet_until = "05:30"
link = "https://pusat.kota.id/"
[[alerts.telegram]]
chat = "-100123"
token_file = "/etc/gampong/telegram.token"
sites = ["pasar"]
[[alerts.email]]
host = "mail.kota.id"
sender = "a@kota.id"
to = ["b@kota.id"]
[[alerts.webhook]]
url = "https://wa.kota.id/x"
format = "whatsapp"
to = ["62811"]
[[alerts.limit]]
rule = "bin_full"
fires = 0.8
clears = 0.7
"""
ROUND = (
    STORE
    + """
[depot]
latitude = 5.5836
longitude = 95.3147
[[truck]]
name = "BL 8123 AH"
capacity_litres = 6000
trips = 2
[round]
unknown = "visit"
bin_litres = 240
[litres]
bin-01 = 660
"""
)
MATRIX = b'{"names": ["depot", "bin-01"], "metres": [[0, 700], [650, 0.5]]}'
SITE = """
[gateway]
name = "gw-a"
site = "pasar"
[[link]]
type = "modbus"
name = "bus-1"
port = "/dev/ttyUSB0"
[[link]]
type = "webhook"
name = "pay"
signature = { secret_files = ["/etc/gampong/pay.secret"], time_header = "x-time" }
[field_map.paid]
kind = "payment"
fields.transaction = { from = "order_id" }
fields.amount_idr = { from = "gross_amount" }
time = { from = "settlement_time", unit = "rfc3339", offset = "+07:00" }
[[device]]
name = "p1"
driver = "paid"
link = "pay"
topic = "payments/p1"
[[device]]
name = "bay-1"
driver = "dfrobot_sen0591"
link = "bus-1"
unit = 1
bay = { occupied_below_mm = 1200 }
"""
PLAIN = """
[gateway]
name = "gw-a"
site = "pasar"
[remote]
accept = "all"
[[link]]
type = "uart"
name = "uart-1"
port = "/dev/ttyAMA0"
[[device]]
name = "bin-1"
driver = "dfrobot_a02yyuw"
link = "uart-1"
container = { empty_mm = 1000, full_mm = 200 }
"""


_FILE = re.compile(r'(path|\w+_file) = "[^"]*"')
"""What has to be there: each becomes one that is."""


def takers(scratch: Scratch) -> list[Taker]:
    """All of them."""
    return [*_written(scratch), *_edited(), _desired(), _record(scratch)]


def _written(scratch: Scratch) -> list[Taker]:
    token = scratch.file("a.token", b"only for the fuzzer")
    token.chmod(0o600)
    gateway, ingest = shown("technician.md", "[gateway]"), shown("operator.md", "[dead_letters]")
    page, opendata = shown("operator.md", "[accounts]"), shown("opendata.md", "[store]")
    grafana = (ROOT / "deploy" / "grafana" / "dashboards.toml").read_text(encoding="utf-8")
    loads: dict[str, tuple[Callable[[str, str], object], list[str]]] = {
        "gateway.toml": (load_edge, [gateway, SITE, PLAIN]),
        "ingest.toml": (load_ingest, [ingest, ingest + ALERTS]),
        "opendata.toml": (load_opendata, [opendata]),
        "page.toml": (load_page, [page]),
        "authority.toml": (load_trust, [TRUST]),
        "dashboards.toml": (_load_grafana, [grafana]),
        "figures.toml": (_load_figures, [STORE]),
        "round.toml": (_load_round, [ROUND]),
    }
    for name, (load, texts) in loads.items():
        texts[:] = [_FILE.sub(rf'\1 = "{token}"', text) for text in texts]
        for text in texts:
            load(text, name)  # a seed that is refused would reach nothing
    matrix = refusing(lambda data: read_matrix(data, "matrix.json"), ConfigurationError)
    return [
        *(
            Taker("configurations", name, [text.encode() for text in texts], _loading(load),
                  mutated_text)
            for name, (load, texts) in loads.items()
        ),
        Taker("configurations", "matrix", [MATRIX], matrix, mutated_text),
    ]  # fmt: skip


def shown(page: str, holds: str) -> str:
    """The sample that a page of the documents shows, the first with these words in it."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    found = [block for block in blocks if holds in block]
    assert found, f"docs/{page} shows no configuration with {holds}"
    return str(found[0])


def _loading(load: Callable[[str, str], object]) -> Callable[[bytes, random.Random], str]:
    return refusing(lambda data: load(as_text(data), "fuzz.toml"), ConfigurationError)


def _load_grafana(text: str, source: str) -> object:
    said = decode_toml(text, GrafanaConfiguration, source)
    check_grafana(said, source)
    return said


def _load_figures(text: str, source: str) -> object:
    return check_figures(decode_toml(text, FiguresConfiguration, source), source)


def _load_round(text: str, source: str) -> object:
    return check_round(decode_toml(text, RoundConfiguration, source), source)


def _edited() -> list[Taker]:
    """A tool's change of a file that a person has written."""

    def edit(data: bytes, draw: random.Random) -> str:
        text, device = as_text(data), draw.choice(("bay-1", "p1", "nobody"))
        edits: list[Callable[[], str]] = [
            lambda: with_another_sensor(text, "f", device, {"driver": "jsn_sr04t", "unit": 7}),
            lambda: in_maintenance_until(text, "f", device, draw.choice((None, NOW))),
            lambda: with_device_keys(text, "f", device, "bay", {"occupied_below_mm": 900}),
        ]
        try:
            load_edge(text, "f")  # the tools do so before and after
            draw.choice(edits)()
        except ConfigurationError:
            return "refused"
        return "edited"

    return [Taker("configurations", "edits", [SITE.encode()], edit, mutated_text)]


def _desired() -> Taker:
    """From afar: refused, or a configuration that leaves alone what only the site may change."""
    now = {text: load_edge(text, "f") for text in (PLAIN, SITE)}

    def desire(data: bytes, draw: random.Random) -> str:
        text = draw.choice((PLAIN, SITE))
        base = draw.choice(("", text_digest(text), "0" * 32))
        wanted = Desired(7, data.decode("utf-8", "replace"), base, "ops")
        if refusal_of(wanted, text, now[text]):
            return "refused"
        before, after = now[text], load_edge(wanted.text, "f")
        for name in ("broker", "page", "metrics", "remote", "time"):
            if getattr(after, name, None) != getattr(before, name, None):
                raise Broken(f"[{name}] changed from afar")
        if (after.gateway.name, after.outbox.path) != (before.gateway.name, before.outbox.path):
            raise Broken("another gateway, or another outbox, from afar")
        return "tried"

    return Taker("configurations", "from afar", [PLAIN.encode(), SITE.encode()], desire,
                 mutated_text)  # fmt: skip


def _record(scratch: Scratch) -> Taker:
    """`gateway.toml.remote` as a card has spoilt it: the agent starts with one of the two texts."""
    clock = SystemClock()
    other = PLAIN.replace("1000", "1100")
    since = trial.Moment("boot", clock.monotonic())
    running = trial.Trial(PLAIN, other, since, 600.0)
    record = trial.Record(7, ConfigurationState.TRYING, by="ops", trial=running)
    seeds = [
        msgspec.json.encode(one) for one in (record, msgspec.structs.replace(record, trial=None))
    ]

    def start(data: bytes, draw: random.Random) -> str:
        path = scratch.file("gateway.toml", draw.choice((PLAIN, other)).encode())
        scratch.file("gateway.toml.remote", data)
        file = ConfigurationFile(path, clock, draw.choice(("boot", "another")), _write)
        try:
            file.begin()
        except ConfigurationError:
            return "refused"
        msgspec.json.encode(file.applied)
        return "trying" if file.is_trying else "started"

    return Taker("configurations", "record", seeds, start, mutated_text, 0.3)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
