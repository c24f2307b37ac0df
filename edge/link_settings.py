"""What a gateway's `[[link]]` tables may say, one struct a type of link.

In: the tables of `gateway.toml`, told apart by their `type`. Out: frozen settings with their
defaults. What they must agree on with devices is checked in `edge/configuration.py`.
"""

from __future__ import annotations

from typing import Literal

from devices.signature import Rule, Scheme
from wire.configuration import Broker, Configuration


class UartPort(Configuration, frozen=True, tag="uart", tag_field="type"):
    """A serial port with one sensor. `port` is a device path or a `socket://host:port` URL.

    Speed and parity are the driver's where the port doesn't say.
    """

    name: str
    port: str
    baudrate: int | None = None
    parity: Literal["N", "E", "O"] | None = None


class ModbusPort(Configuration, frozen=True, tag="modbus", tag_field="type"):
    """An RS-485 port with Modbus RTU slaves. Times are wall seconds.

    `answer_timeout_s` is for one exchange, beside what its bytes take on the line at this speed.
    `late_answer_s` is how long after a time-out a slave isn't asked again: until then an answer
    may still come, and nothing in it says which question it answers.
    """

    name: str
    port: str
    baudrate: int | None = None
    parity: Literal["N", "E", "O"] | None = None
    answer_timeout_s: float = 0.3
    late_answer_s: float = 1.0
    failures_before_rest: int = 3
    rest_s: float = 60.0


class ChirpStack(Configuration, frozen=True, tag="chirpstack", tag_field="type"):
    """A ChirpStack v4 event stream over MQTT, read in a persistent session at QoS 1."""

    name: str
    broker: Broker
    topic: str = "application/+/device/+/event/+"
    session_expiry_s: int = 7 * 24 * 3600


class WifiCorner(Configuration, frozen=True, kw_only=True):
    """What every access point's link has: the gateway's own probes, beside what it is asked.

    `probe_*` targets are what a visitor needs: an address that answers TCP (`host:port`), a name
    that resolves, a URL that answers 204 when no portal stands between. Empty leaves a probe out.
    """

    name: str
    timeout_s: float = 5.0
    probe_connect: str = ""
    probe_name: str = ""
    probe_dns_server: str = ""
    probe_portal_url: str = ""
    probe_count: int = 5


class Hotspot(WifiCorner, frozen=True, kw_only=True, tag="hotspot", tag_field="type"):
    """An OpenWrt access point asked over ubus JSON-RPC; `interface` is its radio's, or several.

    For an `https://` URL whose certificate the system doesn't trust: `ca_file` (PEM) names who
    signed it, or `fingerprint` pins its SHA-256 and nothing else about it matters.
    """

    url: str
    username: str = "gampong"
    password_file: str = ""
    ca_file: str = ""
    fingerprint: str = ""
    interface: str | tuple[str, ...] = "wlan0"
    network_device: str = "br-lan"


class RouterOs(WifiCorner, frozen=True, kw_only=True, tag="routeros", tag_field="type"):
    """A MikroTik access point asked over RouterOS's REST; `ca_file`, `fingerprint` as above.

    `interface` counts only the clients of that radio interface, empty those of all.
    `network_device` is whose byte counters are read.
    """

    url: str
    username: str = "gampong"
    password_file: str = ""
    ca_file: str = ""
    fingerprint: str = ""
    interface: str = ""
    network_device: str = "bridge"


class SnmpAgent(WifiCorner, frozen=True, kw_only=True, tag="snmp", tag_field="type"):
    """Any access point that speaks SNMP v2c: `host` or `host:port`, UDP.

    `interface` is its name in IF-MIB (ifName, else ifDescr). No standard object counts clients:
    `client_oids` name the maker's, each one number; they are added up.
    """

    host: str
    community_file: str = ""
    interface: str = "wlan0"
    client_oids: tuple[str, ...] = ()


class MqttTls(Configuration, frozen=True):
    """`ca_file` (PEM) when the system doesn't trust the server's certificate; a certificate of our
    own only where the server asks for one."""

    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""


class MqttServer(Configuration, frozen=True):
    """A broker that speaks MQTT 3.1.1. Without `tls` the connection is plain: loopback only."""

    host: str = "127.0.0.1"
    port: int = 1883
    keepalive_s: int = 60
    username: str = ""
    password_file: str = ""
    tls: MqttTls | None = None


class Storage(Configuration, frozen=True):
    """The Things Stack's Storage Integration, asked for uplinks that were missed.

    `url` is the server's (https://eu1.cloud.thethings.network), `api_key_file` holds a key with
    the right to read application traffic, `hours_max` is how far back it is asked: the public
    server keeps 24 hours, others 30 days. `ca_file` (PEM) is for a server of one's own.
    """

    url: str
    application: str
    api_key_file: str
    hours_max: float = 24.0
    timeout_s: float = 30.0
    ca_file: str = ""


class ThingsStack(Configuration, frozen=True, tag="things_stack", tag_field="type"):
    """The Things Stack v3 over MQTT; the user is `<application>@<tenant>`, the password an API
    key."""

    name: str
    broker: MqttServer
    topic: str = "v3/+/devices/+/#"
    storage: Storage | None = None


class MilesightGateway(Configuration, frozen=True, tag="milesight_gateway", tag_field="type"):
    """A Milesight LoRaWAN gateway's own messages; `topic` is what its application page says."""

    name: str
    broker: MqttServer
    topic: str


class Signature(Configuration, frozen=True, kw_only=True):
    """How a sender signs (`devices/signature.py`), and the files its secrets are in: one, or two
    while the second is followed by the first. They are read anew for each message. With
    `midtrans` an `order_suffix` says what every order number ends with (`Rule`)."""

    secret_files: tuple[str, ...]
    scheme: Scheme = "hmac-sha256"
    header: str = "x-signature"
    encoding: Literal["hex", "base64"] = "hex"
    time_header: str = ""
    within_s: float = 300.0
    order_suffix: str = ""

    @property
    def rule(self) -> Rule:
        """The same without the secrets."""
        names = self.header.lower(), self.time_header.lower()
        return Rule(
            self.scheme, names[0], self.encoding, names[1], self.within_s, self.order_suffix
        )


class JsonTopics(Configuration, frozen=True, tag="json", tag_field="type"):
    """Devices that publish JSON, each on the topic of its `[[device]]`, read by a field map. With a
    `signature` only what is signed is taken."""

    name: str
    broker: MqttServer
    signature: Signature | None = None


class LineTopics(Configuration, frozen=True, tag="line_protocol", tag_field="type"):
    """Another system's points in line protocol over MQTT, read by field maps."""

    name: str
    broker: MqttServer


class Webhook(Configuration, frozen=True, kw_only=True, tag="webhook", tag_field="type"):
    """Signed events over HTTP, each POSTed to the path that is a device's `topic`.

    `listen` is host:port, for a proxy that ends TLS. A payment above `amount_idr_max` is refused.
    `numbers_path` is the file of event numbers that are known already; links may share it.
    """

    name: str
    signature: Signature
    listen: str = "127.0.0.1:8092"
    amount_idr_max: int = 1_000_000
    body_bytes_max: int = 64 * 1024
    request_s: float = 10.0
    numbers_path: str = "/var/lib/gampong/numbers.db"

    @property
    def where(self) -> tuple[str, int]:
        """Host and port to listen on.

        Raises:
            ValueError: not host:port.
        """
        host, _, port = self.listen.rpartition(":")
        if not host.strip("[]") or not (port.isascii() and port.isdigit() and int(port) < 2**16):
            raise ValueError(f"{self.listen!r} isn't host:port")
        return host.strip("[]"), int(port)


LinkSettings = (
    UartPort
    | ModbusPort
    | ChirpStack
    | ThingsStack
    | MilesightGateway
    | JsonTopics
    | LineTopics
    | Webhook
    | Hotspot
    | RouterOs
    | SnmpAgent
)

NETWORK_SERVERS = (ChirpStack, ThingsStack, MilesightGateway)
PLAIN_TOPICS = (JsonTopics, LineTopics)
BY_TOPIC = (*PLAIN_TOPICS, Webhook)
