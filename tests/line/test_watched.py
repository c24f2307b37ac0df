"""A running line, watched: the agent's and the ingestor's metrics beside what the outbox knows, and
the terminal view of a gateway on which one thing after another goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gampong.top_command import Sample, parse_metrics
from tests.line.listening import until
from tests.line.street import GATEWAY, Street
from tests.servers import free_port

HOME = b"\x1b[H"


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[Street, int, int]]:
    """A street whose unit 2 is dead, and the ports of its agent's and its ingestor's metrics."""
    with ExitStack() as stack:
        street = Street(tmp_path, stack, answering=(1,))
        ports = free_port(), free_port()
        for file, port in zip(("gateway.toml", "ingest.toml"), ports, strict=True):
            with (tmp_path / file).open("a") as text:
                text.write(f'\n[metrics]\nlisten = "127.0.0.1:{port}"\n')
        street.start_ingestor()
        street.start_agent()
        until(lambda: {"bay-1", "bin-1"} <= street.points().keys(), "the line runs")
        yield street, *ports


def page(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def samples(port: int) -> dict[str, list[Sample]]:
    code, text = page(port, "/metrics")
    assert code == 200, text
    found: dict[str, list[Sample]] = {}
    for one in parse_metrics(text):
        found.setdefault(one.name, []).append(one)
    return found


def value(port: int, name: str) -> float:
    return samples(port)[name][0].value


def top(street: Street, rows: int = 24, language: str = "C.UTF-8") -> list[str]:
    command = [sys.executable, "-m", "gampong", "edge", "top", str(street.gateway_file), "--once"]
    size = {"COLUMNS": "80", "LINES": str(rows), "LC_ALL": language}
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=os.environ | size
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert len(lines) < rows
    assert all(len(line) <= 80 for line in lines)
    return lines


def line_of(lines: list[str], word: str) -> str:
    return next(line for line in lines if line.startswith(word))


def test_prometheus_reads_what_the_ledger_knows_and_a_person_sees_it_in_a_terminal(watched):
    street, edge, ingest = watched
    assert page(edge, "/healthz") == (200, "ok\n")
    assert page(ingest, "/healthz") == (200, "ok\n")
    until(lambda: value(edge, "confirm_seconds_count") >= 2, "batches are confirmed")
    seen = samples(edge)
    assert seen["info"][0].labels["gateway"] == GATEWAY
    assert seen["ledger_balanced"][0].value == 1
    assert seen["readings_stored_total"][0].value > 0
    assert seen["uplink_connected"][0].value == 1
    assert 0 < seen["confirm_seconds_sum"][0].value < seen["confirm_seconds_count"][0].value * 5
    assert seen["process_resident_memory_bytes"][0].value > 1e6
    reasons = {one.labels["reason"] for one in seen["link_errors_total"]}
    assert "timeout" in reasons  # of the dead unit
    stored = value(ingest, "gampong_ingest_readings_stored_total")
    assert stored >= seen["readings_stored_total"][0].value

    lines = top(street)
    assert GATEWAY in lines[0]
    assert "connected" in line_of(lines, "uplink")
    assert line_of(lines, "rs485").split()[1] == "up"
    assert "timeout" in line_of(lines, "rs485")
    assert line_of(lines, "bin-1").split()[1].startswith("distance_mm")  # no container yet
    assert line_of(lines, "bin-1").endswith("fresh")
    assert "occupied 0" in line_of(lines, "bay-1")
    devices = lines[lines.index(next(one for one in lines if one.startswith("DEVICE"))) + 1 :]
    assert "never heard of" in devices[0]  # what is worst comes first
    assert line_of(lines, "bay-2").endswith("never heard of")
    few = top(street, rows=16)
    assert "more" in few[-1]
    indonesian = top(street, language="id_ID.UTF-8")
    assert "terhubung" in line_of(indonesian, "uplink")
    assert line_of(indonesian, "rs485").split()[1] == "jalan"
    assert line_of(indonesian, "bin-1").endswith("segar")
    assert line_of(indonesian, "bay-2").endswith("belum pernah")
    assert line_of(indonesian, "ALAT").split() == ["ALAT", "NILAI", "UMUR", "STATUS"]
    assert street.ingestor.stop() == 0
    assert street.stop_agent().balanced


def test_a_cloud_and_a_broker_that_go_away_are_seen_at_once(watched):
    street, edge, _ = watched
    street.ingestor.stop()
    until(lambda: "alarm" in samples(edge), "the agent notices")
    assert samples(edge)["alarm"][0].labels["alarm"] == "nobody_listens"
    assert page(edge, "/healthz")[0] == 200  # the gateway does all it can
    assert "nobody_listens" in line_of(top(street), "alarms")
    street.cloud.kill()
    until(lambda: value(edge, "uplink_connected") == 0, "the connection is lost")
    assert "NOT CONNECTED" in line_of(top(street), "uplink")
    street.agent.kill()
    lines = top(street)
    assert "is the agent running?" in line_of(lines, "uplink")
    assert "batches wait" in line_of(lines, "outbox")


def test_the_terminal_view_draws_itself_again_until_ctrl_c(watched):
    street, _, _ = watched
    command = [sys.executable, "-m", "gampong", "edge", "top", str(street.gateway_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as shown:
        assert shown.stdout is not None
        drawn = b""
        while drawn.count(HOME) < 3:
            drawn += os.read(shown.stdout.fileno(), 65_536)
        shown.send_signal(signal.SIGINT)
        assert shown.wait(10) == 130
    whole = drawn.split(HOME)[1]
    assert whole.count(b"\n") < 24  # nothing scrolls
    assert GATEWAY.encode() in whole


def test_an_ingestor_without_its_broker_is_not_well(watched):
    street, _, ingest = watched
    street.cloud.kill()
    until(lambda: page(ingest, "/healthz")[0] == 503, "it says so")
