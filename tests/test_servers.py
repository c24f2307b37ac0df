"""The servers that the other tests stand on behave as those tests assume."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.servers import Influxd, Mosquitto

WAIT_S = 10


@contextmanager
def client(broker: Mosquitto) -> Iterator[mqtt.Client]:
    connected: queue.Queue[bool] = queue.Queue()
    own = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    own.on_connect = lambda *_: connected.put(True)
    own.connect(broker.host, broker.port)
    own.loop_start()
    try:
        connected.get(timeout=WAIT_S)
        yield own
    finally:
        own.disconnect()
        own.loop_stop()


def messages(subscriber: mqtt.Client, topic: str) -> queue.Queue[mqtt.MQTTMessage]:
    """Subscribes, and returns once the broker has granted it."""
    received: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
    granted: queue.Queue[bool] = queue.Queue()
    subscriber.on_message = lambda _client, _userdata, message: received.put(message)
    subscriber.on_subscribe = lambda *_: granted.put(True)
    subscriber.subscribe(topic, qos=1)
    granted.get(timeout=WAIT_S)
    return received


def publish(publisher: mqtt.Client, topic: str, payload: bytes, retain: bool = False) -> None:
    publisher.publish(topic, payload, qos=1, retain=retain).wait_for_publish(WAIT_S)


def retained(broker: Mosquitto, topic: str) -> list[bytes]:
    """What a new subscriber is given, ended by a message of our own."""
    with client(broker) as one:
        received = messages(one, topic)
        publish(one, topic, b"end")
        payloads = []
        while (payload := received.get(timeout=WAIT_S).payload) != b"end":
            payloads.append(bytes(payload))
        return payloads


def test_the_broker_delivers_with_mqtt_5(mosquitto):
    with client(mosquitto) as one, client(mosquitto) as other:
        received = messages(one, "servers/delivers")
        publish(other, "servers/delivers", b"hello")
        message = received.get(timeout=WAIT_S)
    assert message.payload == b"hello"
    assert message.properties is not None


def test_a_killed_broker_starts_empty_on_the_same_port(tmp_path):
    with Mosquitto(tmp_path) as broker:
        port = broker.port
        with client(broker) as one:
            publish(one, "servers/kept", b"value", retain=True)
        assert retained(broker, "servers/kept") == [b"value"]
        broker.kill()
        broker.start()
        assert broker.port == port
        assert retained(broker, "servers/kept") == []


def test_a_persistent_broker_keeps_its_store_over_a_restart(tmp_path):
    with Mosquitto(tmp_path, persistent=True) as broker:
        with client(broker) as one:
            publish(one, "servers/kept", b"value", retain=True)
        broker.restart()
        assert retained(broker, "servers/kept") == [b"value"]


def test_a_server_that_can_not_start_says_why(tmp_path):
    with pytest.raises(pytest.fail.Exception, match="no_such_option"):
        Mosquitto(tmp_path, config="no_such_option true").start()


@pytest.mark.live
def test_the_database_gives_back_what_was_written(influxd):
    influxd.write("servers,device=bay-1 occupied=1i 1700000000000")
    influxd.write("servers,device=bay-1 occupied=1i 1700000000000")
    rows = influxd.query("SELECT occupied FROM servers GROUP BY device")
    assert rows == [{"device": "bay-1", "time": 1700000000000, "occupied": 1}]


@pytest.mark.live
def test_a_killed_database_has_kept_what_it_acknowledged(tmp_path):
    with Influxd(tmp_path) as database:
        database.write("servers,device=bay-2 occupied=0i 1700000000000")
        database.kill()
        database.start()
        assert len(database.query("SELECT occupied FROM servers")) == 1
