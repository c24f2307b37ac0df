"""Devices that publish on MQTT by themselves: JSON, or another system's points in line protocol.

In: messages on the topics of the configured devices. Out: to the sink, each with its device.

    the field map says where the time is   subscribed at QoS 1: what is published while we are away
                                           waits in the session, is taken with its own time, and is
                                           acknowledged once it is committed
    it doesn't                             subscribed at QoS 0, stamped as it comes, like the answer
                                           to a poll. Nothing waits: a message that did would be
                                           stamped late, and something old would look fresh. For the
                                           same reason a retained one isn't taken (`retained`)

Where senders sign (`signature`), a message is what `devices.signature.opened` reads, and one that
isn't genuine is noise: `unsigned`, `signature`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from devices.driver import Noise
from devices.envelope import Uplink
from devices.reading import Payload
from devices.signature import NotGenuine, check, opened
from devices.topics import Heard, Listener, read_json, read_lines
from edge.link_files import sender_secrets
from edge.link_settings import JsonTopics, LineTopics, Signature
from edge.links import Sink
from edge.links.mqtt_311 import Message
from edge.links.mqtt_stream import MqttStream, Piece, Polled
from wire.clock import Clock
from wire.small_file import Kept


class Publisher(msgspec.Struct, frozen=True):
    """One configured device. `own_time`: its messages say when they were measured."""

    listener: Listener
    own_time: bool


class PlainTopics:
    """What a link of this kind reads; `stream` is the link.

    Args:
        settings: the link's.
        gateway: this gateway's name.
        publishers: its devices.
        sink, clock, time_trusted: as `MqttStream`.
    """

    def __init__(
        self,
        settings: JsonTopics | LineTopics,
        gateway: str,
        publishers: Sequence[Publisher],
        sink: Sink,
        clock: Clock,
        time_trusted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._clock = clock
        self._signature = settings.signature if isinstance(settings, JsonTopics) else None
        self._secrets = _secrets(self._signature) if self._signature else None
        self._split = read_lines if isinstance(settings, LineTopics) else read_json
        self._listeners = [one.listener for one in publishers]
        self._own_time = {one.listener.device for one in publishers if one.own_time}
        qos: dict[str, int] = {}
        for one in publishers:
            qos[one.listener.topic] = max(qos.get(one.listener.topic, 0), int(one.own_time))
        self.stream = MqttStream(
            settings.name,
            settings.broker,
            gateway,
            list(qos.items()),
            self._read,
            sink,
            clock,
            time_trusted,
        )

    def _read(self, message: Message) -> Iterable[Piece]:
        payload = message.payload
        if self._signature and self._secrets:
            try:
                payload = _genuine(self._signature, self._secrets, payload)
            except NotGenuine as error:
                yield Noise(error.reason, len(message.payload))
                return
        heard: Heard = self._split(self._listeners, message.topic, payload)
        for device, data in heard.messages:
            if device in self._own_time:
                yield Uplink(device, 0, b"", self._clock.now_ms(), decoded=data)
            elif message.retained:
                yield Noise("retained", len(data))
            else:
                yield Polled(device, Payload(data))
        for reason, count in (("unmatched", heard.unmatched), ("garbage", heard.garbage)):
            for _ in range(count):
                yield Noise(reason, len(message.payload))


def _secrets(signature: Signature) -> Kept[list[bytes]]:
    return Kept(lambda: sender_secrets(signature.secret_files))


def _genuine(signature: Signature, secrets: Kept[list[bytes]], data: bytes) -> bytes:
    """What was signed.

    Raises:
        NotGenuine: it isn't from the sender.
        ConfigurationError: a secret can't be read now: the link reconnects, the message waits.
    """
    valid = secrets.now()
    own = signature.scheme == "midtrans"  # inside the message itself
    try:
        headers, body = ({}, data) if own else opened(data)
        check(signature.rule, valid, headers, body, 0.0)
    except NotGenuine as error:
        if secrets.behind and error.reason == "signature":
            raise secrets.behind from error  # it may be signed with what we couldn't read
        raise
    return body
