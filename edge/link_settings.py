"""What a gateway's `[[link]]` tables may say, one struct a type of link.

In: the tables of `gateway.toml`, told apart by their `type`. Out: frozen settings with their
defaults. What they must agree on with devices is checked in `edge/configuration.py`.
"""

from __future__ import annotations

from typing import Literal

from wire.configuration import Broker, Configuration


class UartPort(Configuration, frozen=True, tag="uart", tag_field="type"):
    """A serial port with one sensor. `port` is a device path or a `socket://host:port` URL."""

    name: str
    port: str
    baudrate: int | None = None


class ModbusPort(Configuration, frozen=True, tag="modbus", tag_field="type"):
    """An RS-485 port with Modbus RTU slaves. Times are wall seconds, total for one exchange."""

    name: str
    port: str
    baudrate: int | None = None
    parity: Literal["N", "E", "O"] | None = None
    answer_timeout_s: float = 0.3
    failures_before_rest: int = 3
    rest_s: float = 60.0


class ChirpStack(Configuration, frozen=True, tag="chirpstack", tag_field="type"):
    """A ChirpStack v4 event stream over MQTT, read in a persistent session at QoS 1."""

    name: str
    broker: Broker
    topic: str = "application/+/device/+/event/+"
    session_expiry_s: int = 7 * 24 * 3600


class Hotspot(Configuration, frozen=True, tag="hotspot", tag_field="type"):
    """An OpenWrt access point asked over ubus JSON-RPC, and the gateway's own probes.

    `probe_*` targets are what a visitor needs: an address that answers TCP (`host:port`), a name
    that resolves, a URL that answers 204 when no portal stands between. Empty leaves a probe out.
    """

    name: str
    url: str
    username: str = "gampong"
    password_file: str = ""
    interface: str = "wlan0"
    network_device: str = "br-lan"
    timeout_s: float = 5.0
    probe_connect: str = ""
    probe_name: str = ""
    probe_dns_server: str = ""
    probe_portal_url: str = ""
    probe_count: int = 5


LinkSettings = UartPort | ModbusPort | ChirpStack | Hotspot
