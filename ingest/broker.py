"""The broker as this side sees it: the only file here that knows the MQTT library.

In: where the broker is. Out: connections that subscribe, give messages, acknowledge by hand and
publish. mqttium 1.2.1 is young, so it is pinned and kept in here: MQTT 5, a clean start and a fresh
client for every connection (its own reconnecting is off), bounded queues. Everything that ends a
connection is one exception, `Lost`.

Rooms: at most `RECEIVE_MAX` messages wait for their acknowledgement, the broker keeps the rest; a
message larger than `MESSAGE_BYTES_MAX` never comes, which is far above what a batch may be, so that
one that is too large is seen and counted. `PUBLISH_MAX` confirmations wait for the broker; then
publishing waits.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from mqttium import MQTTError, MQTTProtocolVersion, PublishRejectedError
from mqttium.api import AsyncClient, Message, Properties, PublishReceipt

from ingest.guard import Envelope
from wire.configuration import Broker, ConfigurationError

RECEIVE_MAX = 200
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
WAITING_BYTES_MAX = 2 * MESSAGE_BYTES_MAX
PUBLISH_MAX = 1000
ANSWER_S = 10.0
"""Wall seconds for the broker to answer a CONNECT, SUBSCRIBE or UNSUBSCRIBE."""

SEAL_MS = "seal_ms"
"""The user property with a batch's seal time."""


class Lost(Exception):
    """The connection ended, or could not be made; the text says why."""


class Received(NamedTuple):
    """A message, and the handle to acknowledge it with."""

    envelope: Envelope
    handle: object


class Door(NamedTuple):
    """What it takes to connect, read and checked before the first attempt."""

    settings: Broker
    password: str | None
    tls: ssl.SSLContext | None


def open_door(settings: Broker, source: str) -> Door:
    """Read the password and the certificates.

    Raises:
        ConfigurationError: a file can't be read, or isn't what its key says.
    """
    return Door(settings, _password(settings, source), _tls(settings, source))


def _password(settings: Broker, source: str) -> str | None:
    if not settings.password_file:
        return None
    try:
        return Path(settings.password_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        remedy = f"Make {settings.password_file} a text file that this user can read"
        raise ConfigurationError(source, "broker.password_file", str(error), remedy) from error


def _tls(settings: Broker, source: str) -> ssl.SSLContext | None:
    if settings.tls is None:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.tls.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(settings.tls.certificate_file, settings.tls.key_file)
    except (OSError, ssl.SSLError) as error:
        key = f"in key_file ({settings.tls.key_file}) the key of {settings.tls.certificate_file}"
        remedy = f"Give PEM files that this user can read, and {key}"
        raise ConfigurationError(source, "broker.tls", str(error), remedy) from error
    return context


class Connection:
    """One live connection. Every method raises `Lost` when it isn't any more."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def subscribe(self, topic_filter: str) -> None:
        try:
            await self._client.subscribe(topic_filter, qos=1)
        except (MQTTError, OSError) as error:
            raise Lost(f"subscribing to {topic_filter}: {error}") from error

    async def unsubscribe(self, topic_filter: str) -> None:
        try:
            await self._client.unsubscribe(topic_filter)
        except (MQTTError, OSError) as error:
            raise Lost(f"unsubscribing from {topic_filter}: {error}") from error

    async def messages(self) -> AsyncIterator[Received]:
        """Messages as they come; ends by `Lost` only."""
        try:
            async for message in self._client.messages():
                yield Received(_envelope(message), message)
        except (MQTTError, OSError) as error:
            raise Lost(str(error)) from error
        raise Lost(self._client.stats().last_disconnect_error or "the connection ended")

    async def acknowledge(self, received: Received) -> None:
        """Give the broker its PUBACK. The order of arrival is the caller's to keep."""
        assert isinstance(received.handle, Message)
        try:
            await self._client.ack(received.handle)
        except (MQTTError, OSError) as error:
            raise Lost(f"acknowledging: {error}") from error

    async def publish(
        self,
        topic: str,
        payload: bytes,
        expiry_s: int,
        refused: Callable[[str], None],
        *,
        retain: bool = False,
    ) -> None:
        """Hand over a message at QoS 1; `refused` is called later if the broker says no.

        `expiry_s` 0 is a message that never expires.
        """
        properties = Properties({"message_expiry_interval": expiry_s} if expiry_s else {})
        try:
            receipt = await self._client.publish(
                topic, payload, qos=1, retain=retain, properties=properties
            )
        except (MQTTError, OSError) as error:
            raise Lost(f"publishing: {error}") from error

        def settled(receipt: PublishReceipt) -> None:
            error = receipt.exception()
            if isinstance(error, PublishRejectedError):
                refused(f"0x{error.reason_code:02x}")

        receipt.add_done_callback(settled)


def _envelope(message: Message) -> Envelope:
    properties = message.properties
    if properties is None:
        return Envelope(message.topic, message.payload)
    user: tuple[tuple[str, str], ...] = properties.get("user_property") or ()
    return Envelope(
        message.topic,
        message.payload,
        properties.get("content_type"),
        properties.get("correlation_data"),
        next((value for name, value in user if name == SEAL_MS), None),
    )


@asynccontextmanager
async def connected(door: Door, client_id: str) -> AsyncIterator[Connection]:
    """A connection, closed with a DISCONNECT at the end.

    Raises:
        Lost: the broker can't be reached or refuses.
    """
    settings = door.settings
    client = AsyncClient(
        client_id,
        protocol=MQTTProtocolVersion.MQTTv5,
        clean_start=True,
        keepalive=settings.keepalive_s,
        username=settings.username or None,
        password=door.password,
        maximum_packet_size=MESSAGE_BYTES_MAX,
        max_inbound_inflight=RECEIVE_MAX,
        max_unacknowledged_messages=PUBLISH_MAX,
        manual_ack=True,
        max_iterator_messages=RECEIVE_MAX,
        max_iterator_bytes=WAITING_BYTES_MAX,
        reconnect=None,
        connect_timeout=ANSWER_S,
        subscribe_timeout=ANSWER_S,
    )
    try:
        try:
            await client.connect(settings.host, settings.port, ssl=door.tls)
        except (MQTTError, OSError) as error:
            raise Lost(f"{settings.host}:{settings.port}: {error}") from error
        yield Connection(client)
    finally:
        with suppress(MQTTError, OSError):
            await client.disconnect()
