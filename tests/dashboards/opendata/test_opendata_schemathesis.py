"""schemathesis over the API as it describes itself: whatever it is asked, it answers in words.

`GAMPONG_QUESTIONS=600` asks so many of each address in place of 15, and `pytest -s` shows the
report.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.dashboards.opendata.public_process import Public, public
from tests.dashboards.opendata.test_opendata_api import hours
from tests.dashboards.small_city import store_now, whole_city
from wire.clock import SystemClock

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,negative_data_rejection,unsupported_method"
)

EXAMPLES = os.environ.get("GAMPONG_QUESTIONS", "15")

REFUSALS = """
[checks]
negative_data_rejection.expected-statuses = ["404", "405", "414", "422"]
"""
"""An address may also be refused for its length (seed 23 asks for 4 KB of them)."""


HERE = """
[[operations]]
include-name = "GET /api/v1/state/{device}"
parameters = { device = "bay-01" }
[[operations]]
include-name = "GET /api/v1/entities/{entity}"
parameters = { entity = "urn:ngsi-ld:ParkingSpot:bay-01" }
"""
"""Names that are there: those that it makes up are 404 each."""


def asked(running: Public, folder: Path, seed: int, settings: str, *words: str) -> None:
    """All that it asks is answered as the description says."""
    (folder / "schemathesis.toml").write_text(REFUSALS + settings)
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run",
        f"{running.address}/openapi.json", "--checks", CHECKS, "--max-examples", EXAMPLES,
        "--seed", str(seed), "--phases", "examples,coverage,fuzzing", "--no-color", *words,
    ]  # fmt: skip
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    print(ended.stdout[-6000:])
    assert ended.returncode == 0
    assert running.get("/api/v1/state").status == 200


def test_no_question_makes_an_error_of_the_server(tmp_path, seed):
    now_ms = SystemClock().now_ms()
    store_now(tmp_path / "city.db", whole_city(now_ms))
    assert hours(now_ms, 1)
    with public(tmp_path / "city.db", tmp_path) as running:
        asked(running, tmp_path, seed, "")


def test_no_question_about_what_is_there_makes_one_either(tmp_path, seed):
    store_now(tmp_path / "city.db", whole_city(SystemClock().now_ms()))
    with public(tmp_path / "city.db", tmp_path) as running:
        for path in ("state/bay-01", "entities/urn:ngsi-ld:ParkingSpot:bay-01"):
            assert running.get(f"/api/v1/{path}").status == 200
        asked(running, tmp_path, seed, HERE, "--include-path-regex", r"\{")
