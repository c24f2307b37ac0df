"""The cloud's services: the script's own care, and that each service and container starts a command
that exists, with words it knows."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from gampong.cli import parser

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "cloud"
UNITS = sorted(DEPLOY.glob("gampong-*.service"))
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
OURS = {name: each for name, each in COMPOSE.items() if each["image"] == "gampong-cloud"}


def script(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(DEPLOY / "install.sh"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def words_of(unit: Path) -> list[str]:
    (line,) = [each for each in unit.read_text().splitlines() if each.startswith("ExecStart=")]
    program, *words = shlex.split(line.removeprefix("ExecStart="))
    assert program == "@RUN@/bin/gampong"
    return words


def test_the_script_explains_itself_and_refuses_what_it_does_not_know() -> None:
    assert "--uninstall" in script("--help").stdout
    wrong = script("--prefx", "/opt")
    assert wrong.returncode == 2
    assert "--uninstall" in wrong.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_service_starts_a_command_that_exists(unit: Path) -> None:
    assert callable(parser(words_of(unit)).parse_args(words_of(unit)).run)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_service_may_do_little_and_only_the_backup_is_root(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateDevices=yes"):
        assert line in lines
    assert ("User=gampong" in lines) == (unit.stem != "gampong-backup")


def test_what_says_that_it_is_alive_is_watched() -> None:
    watched = {unit.stem for unit in UNITS if "WatchdogSec=60" in unit.read_text()}
    assert watched == {"gampong-ingest@", "gampong-watch", "gampong-payments"}


@pytest.mark.parametrize("name", OURS)
def test_a_container_starts_a_command_that_exists(name: str) -> None:
    words = [str(word) for word in OURS[name]["command"]]
    assert callable(parser(words).parse_args(words).run)


def test_every_process_of_the_services_is_a_container_too() -> None:
    services = {unit.stem.removeprefix("gampong-").rstrip("@") for unit in UNITS}
    assert services <= set(OURS)


def test_no_container_opens_more_than_the_broker_to_everybody() -> None:
    open_ports = {
        name: [port for port in each.get("ports", ()) if not port.startswith("127.0.0.1:")]
        for name, each in COMPOSE.items()
    }
    assert {name: ports for name, ports in open_ports.items() if ports} == {
        "mosquitto": ["8883:8883"]
    }
