"""A broker on this machine's loopback, for the demo: mosquitto, or one that pip brings.

mosquitto is what a city runs; the fallback (rumqttd inside the package iotcore) has no access list
and keeps everything in memory, which the end-to-end confirmation survives. Which one runs is told
on the page.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import msgspec

PACKET_BYTES_MAX = 1024 * 1024


class BrokerChoice(msgspec.Struct, frozen=True):
    """What to run, and what to call it on the page. `speaks_311`: MQTT 3.1.1 too, which links to
    devices with a topic of their own speak; without it the city has no payments."""

    label: str
    command: list[str]
    speaks_311: bool = True


def choose_broker(folder: Path, port: int, fallback: bool = False) -> BrokerChoice:
    """mosquitto where it is installed (Debian keeps it in /usr/sbin), the fallback elsewhere."""
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"])
    program = shutil.which("mosquitto", path=places)
    if program is None or fallback:
        command = [sys.executable, "-m", "gampong.broker", str(port), str(folder)]
        return BrokerChoice("iotcore, the broker from pip", command, speaks_311=False)
    configuration = folder / "mosquitto.conf"
    lines = ["persistence false", "max_queued_messages 100000", "set_tcp_nodelay true"]
    if os.geteuid() == 0:
        lines.append("user root")  # the folder is ours alone
    lines += [f"listener {port} 127.0.0.1", "allow_anonymous true"]
    configuration.write_text("\n".join([*lines, ""]))
    return BrokerChoice("mosquitto", [program, "-c", str(configuration)])


_FALLBACK = """
id = 0

[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10

[v5.1]
name = "v5"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 10000
max_payload_size = {bytes_max}
max_inflight_count = 200
dynamic_filters = true
"""
"""rumqttd's own configuration: its plain listener speaks MQTT 3.1.1 only, a `v5` one MQTT 5."""


def serve_fallback(port: int, folder: Path) -> None:
    """Run the pip-installed broker on 127.0.0.1 until the process ends."""
    from iotcore import Broker

    configuration = folder / "rumqttd.toml"
    configuration.write_text(_FALLBACK.format(port=port, bytes_max=PACKET_BYTES_MAX))
    Broker(config_path=str(configuration)).run_forever()


if __name__ == "__main__":
    serve_fallback(int(sys.argv[1]), Path(sys.argv[2]))
