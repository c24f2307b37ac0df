"""What people hear of a gateway that dies: one message, and one when it is back.

City time runs 200 times as fast: the devices fall silent, for longer than any rule waits.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.line.listening import until
from tests.line.street import GATEWAY, Street

RATE = 200
LONG_MS = 20 * 60_000


class Ears:
    """A webhook on loopback."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.pings = 0
        ears = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                ears.messages.append(json.loads(body))
                self._answer()

            def do_GET(self) -> None:
                ears.pings += 1
                self._answer()

            def _answer(self) -> None:
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def changes(self) -> list[dict[str, Any]]:
        return [change for message in self.messages for change in message["changes"]]

    def told(self, rule: str, became: str) -> list[str]:
        return [c["device"] for c in self.changes() if (c["rule"], c["became"]) == (rule, became)]


@pytest.fixture
def ears() -> Iterator[Ears]:
    found = Ears()
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_a_gateways_death_is_one_message_and_its_return_another(tmp_path: Path, ears: Ears) -> None:
    with ExitStack() as stack:
        street = Street(tmp_path, stack, rate=RATE)
        text = (tmp_path / "ingest.toml").read_text()
        text += f'\n[watch]\nregistry_path = "{tmp_path}/registry.json"\n'
        text += f'[alerts]\nlanguage = "en"\nheartbeat_url = "{ears.url}/ping"\n'
        text += f'[[alerts.webhook]]\nurl = "{ears.url}/hook"\n'
        (tmp_path / "ingest.toml").write_text(text)
        watch = street._start(
            "watch", ["watch", "ingest.toml", "--city-time", street.city.argument]
        )
        watch.said("ready")
        street.start_ingestor()
        street.start_agent()
        until(lambda: {"bay-1", "bay-2", "bin-1"} <= street.points().keys(), "the line runs")
        until(lambda: ears.pings, "a round is over")
        street.agent.kill()
        until(lambda: ears.told("gateway_offline", "fires") == [GATEWAY], "it is told")
        died_ms = street.now_ms()
        until(lambda: street.now_ms() > died_ms + LONG_MS, "twenty minutes pass")
        pings = ears.pings
        until(lambda: ears.pings >= pings + 3, "three more rounds are over")
        street.start_agent()
        until(lambda: ears.told("gateway_offline", "clears") == [GATEWAY], "it is back")
        begun = {c["device"] for c in ears.changes() if c["became"] in ("fires", "incident")}
        assert begun <= {GATEWAY, "bay-lora"}  # whose sensor never spoke, which is true
        assert ears.told("gateway_offline", "fires") == [GATEWAY]
        (text,) = {
            m["text"] for m in ears.messages if "Gateway offline" in m["text"].split("Over")[0]
        }
        assert f"Gateway offline: {GATEWAY}" in text
        assert watch.stop() == 0
