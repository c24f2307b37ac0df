"""MQTT 3.1.1 over TLS on a real mosquitto: whom we trust, and nothing left unread in the cipher."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiomqtt
import pytest

from devices.envelope import Uplink
from edge.link_settings import MqttServer, MqttTls
from edge.links.mqtt_311 import Connection, Lost
from edge.links.mqtt_stream import MqttStream
from tests.edge.links.heard import Heard, running, until
from tests.line.certificates import Authority, Signed
from tests.servers import Mosquitto
from wire.clock import SystemClock
from wire.configuration import ConfigurationError

BIG = 20_000  # more than a TLS record: what is decrypted already makes no socket readable


@pytest.fixture
def server(tmp_path: Path) -> Signed:
    return Authority(tmp_path / "authority").sign("server")


def settings(broker: Mosquitto, **tls: str) -> MqttServer:
    return MqttServer(host=broker.host, port=broker.port, tls=MqttTls(**tls))


def listener(server: Signed) -> str:
    return (
        f"listener {{port}} 127.0.0.1\ncertfile {server.certificate_file}\n"
        f"keyfile {server.key_file}\n"
    )


def test_messages_of_any_size_arrive_whole_over_tls(tmp_path, server):
    async def scenario():
        with Mosquitto(tmp_path / "broker", config=listener(server)) as broker:
            sink, sizes = Heard(), []

            def read(message):
                sizes.append(len(message.payload))
                return [Uplink("00", 1, b"", 0)]

            link = MqttStream(
                "tls",
                settings(broker, ca_file=str(server.ca_file)),
                "gw-1",
                [("big", 1)],
                read,
                sink,
                SystemClock(),
            )
            context = server.context()
            async with (
                aiomqtt.Client(broker.host, broker.port, tls_context=context) as out,
                running(link),
            ):
                await until(lambda: link.status().state == "up")
                for nth in range(50):
                    await out.publish("big", bytes(BIG + nth), qos=1)
                await until(lambda: len(sink.uplinks) == 50)
            assert sizes == [BIG + nth for nth in range(50)]
            assert not link.status().errors

    asyncio.run(scenario())


def test_a_server_that_nobody_we_trust_has_signed_is_refused(tmp_path, server):
    async def scenario():
        stranger = Authority(tmp_path / "stranger").sign("server")
        with Mosquitto(tmp_path / "broker", config=listener(server)) as broker:
            for tls in ({"ca_file": str(stranger.ca_file)}, {}):
                connection = Connection(settings(broker, **tls), "gampong-tls")
                with pytest.raises(Lost, match="certificate"):
                    await connection.open()
                connection.close()

    asyncio.run(scenario())


def test_a_file_that_is_no_certificate_is_named():
    async def scenario():
        tls = MqttTls(ca_file="/no/such/ca.pem")
        with pytest.raises(ConfigurationError, match=r"/no/such/ca\.pem"):
            Connection(MqttServer(tls=tls), "gampong-tls")

    asyncio.run(scenario())
