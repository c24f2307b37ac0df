"""The whole way of a configuration from afar, over TLS and the city's own access list: a command,
the watch, mosquitto, an enrolled agent, an ingestor, and back."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.line.listening import until
from tests.line.sensors import Ranger
from tests.line.trusted import A, City, done, gampong, trusted_city
from tests.processes import Gampong


def cloud_toml(city: City, folder: Path, role: str) -> Path:
    """`ingest.toml` of the ingestor or the watch, with that one's certificate."""
    own = city.folder / "authority"
    path = folder / f"{role}.toml"
    path.write_text(
        f'[broker]\nhost = "127.0.0.1"\nport = {city.broker.port}\n[broker.tls]\n'
        f'ca_file = "{own}/ca.pem"\ncertificate_file = "{own}/{role}.pem"\n'
        f'key_file = "{own}/{role}.key"\n[store]\ntype = "sqlite"\npath = "{folder}/store.db"\n'
        f'[watch]\nregistry_path = "{folder}/registry.json"\n'
        f'[dead_letters]\npath = "{folder}/dead.jsonl"\n'
    )
    return path


def enrolled(city: City, folder: Path, port: Path) -> Path:
    """Gateway A's configuration as enrolling left it, and a sensor."""
    file = city.folder / A / "gateway.toml"
    file.write_text(
        file.read_text() + f'[outbox]\npath = "{folder}/outbox.db"\nseal_interval_s = 1\n'
        'ballast_bytes = 0\n[time]\ntrust = "system"\n[remote]\ntrial_s = 100\n'
        f'[[link]]\ntype = "uart"\nname = "ranger"\nport = "{port}"\n'
        '[[device]]\nname = "bin-1"\ndriver = "dfrobot_a02yyuw"\nlink = "ranger"\n'
        "poll_interval_s = 0.2\nheartbeat_s = 1\ndead_band = 0.0\n"
    )
    return file


def test_an_operator_changes_a_gateway_over_the_citys_own_trust(tmp_path: Path) -> None:
    with trusted_city(tmp_path) as city, Ranger(tmp_path / "tty") as ranger, ExitStack() as stack:
        ingestor, watch = (cloud_toml(city, tmp_path, role) for role in ("ingestor", "watch"))
        file = enrolled(city, tmp_path, ranger.path)
        for name, *words in (
            ("watch", "watch", str(watch)),
            ("ingestor", "ingest", "run", str(ingestor)),
            ("agent", "edge", "run", str(file)),
        ):
            process = Gampong(name, tmp_path, *words)
            stack.callback(process.kill)
            process.start()
        registry = tmp_path / "registry.json"
        until(lambda: registry.exists() and "bin-1" in registry.read_text(), "announced", 60.0)

        read = gampong("gateway", "command", "read-now", watch, A, "bin-1")
        assert "distance_mm" in read.stdout, read.stderr
        mine = tmp_path / "mine.toml"
        done("gateway", "config", "get", watch, A, "--output", mine)
        assert mine.read_text() == file.read_text()
        mine.write_text(mine.read_text().replace('name = "bin-1"', 'name = "bin-1"\nlabel = "Bak"'))
        put = gampong("gateway", "config", "set", watch, A, mine, "--wait", "50")
        assert put.returncode == 0, put.stdout + put.stderr
        assert file.read_text() == mine.read_text()
        until(lambda: "Bak" in registry.read_text(), "the new inventory is there")

        mine.write_text(mine.read_text().replace("127.0.0.1", "203.0.113.1"))
        cut_off = gampong("gateway", "config", "set", watch, A, mine, "--wait", "50")
        assert cut_off.returncode == 1
        assert "[broker] can only be changed at the site" in cut_off.stdout
