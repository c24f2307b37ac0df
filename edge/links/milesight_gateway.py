"""A Milesight LoRaWAN gateway's own messages: a stream of uplinks over MQTT 3.1.1 at QoS 1.

In: messages on the topic that its application page names. Out: to the sink, uplinks, acknowledged
once they are committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from devices.milesight_gateway import read_envelope
from edge.link_settings import MilesightGateway
from edge.links import Sink
from edge.links.mqtt_311 import Message
from edge.links.mqtt_stream import MqttStream, Piece
from wire.clock import Clock


def milesight_stream(
    settings: MilesightGateway,
    gateway: str,
    sink: Sink,
    clock: Clock,
    time_trusted: Callable[[], bool] = lambda: True,
) -> MqttStream:
    """The link; arguments as of `MqttStream`."""
    return MqttStream(
        settings.name,
        settings.broker,
        gateway,
        [(settings.topic, 1)],
        _read,
        sink,
        clock,
        time_trusted,
    )


def _read(message: Message) -> Iterable[Piece]:
    return [read_envelope(message.topic, message.payload)]
