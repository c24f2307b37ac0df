"""The broker as this side sees it: where it is, and connections that subscribe, give messages,
acknowledge by hand and publish. `wire.mqtt_link` speaks MQTT.

MQTT 5, a clean start and a fresh connection every time. Everything that ends one is one exception,
`Lost`. Receive Maximum is announced as good as none: mosquitto 2.0.11 (Debian 12) keeps to one only
until the first acknowledgement and then sends all it has; what waits unacknowledged is the
subscriber's to bound. A message larger than `PACKET_BYTES_MAX` never comes, which is far above what
a batch may be, so that one that is too large is seen and counted. Never publish over a connection
whose reading may wait for you, since the broker's answers wait there too.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from wire import mqtt
from wire.configuration import Broker, ConfigurationError
from wire.mqtt import Message
from wire.mqtt_link import PACKET_BYTES_MAX, Link, Lost
from wire.small_file import check_secret, read_secret

__all__ = ["Connection", "Door", "Lost", "Received", "connected", "open_door"]

log = logging.getLogger(__name__)

REST_S = 0.02
"""While messages come all the time, they are read this often: a turn of the loop costs as much as
several messages."""

ANSWER_S = 10.0
"""Wall seconds for the broker to answer a CONNECT, SUBSCRIBE or UNSUBSCRIBE."""


class Received(NamedTuple):
    """A message that came alone."""

    envelope: Message


class Door(NamedTuple):
    """What it takes to connect, read and checked before the first attempt, and read again before
    each: a password or a certificate may be replaced while all runs. `source` names the file of
    its settings; without one nothing is read again."""

    settings: Broker
    password: str | None
    tls: ssl.SSLContext | None
    source: str = ""

    def again(self) -> Door:
        """As it is today; as it was where that can't be read: one file of two is new so far."""
        if not self.source:
            return self
        try:
            return open_door(self.settings, self.source)
        except ConfigurationError as error:
            log.error("event=secret_not_read_again going_on_with=before reason=%r", str(error))
            return self


def open_door(settings: Broker, source: str) -> Door:
    """Read the password and the certificates.

    Raises:
        ConfigurationError: a file can't be read, isn't what its key says, or is a secret that is
            open to others.
    """
    return Door(settings, _password(settings, source), _tls(settings, source), source)


def _password(settings: Broker, source: str) -> str | None:
    if not settings.password_file:
        return None
    try:
        return read_secret(settings.password_file, "broker.password_file").decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        remedy = f"Make {settings.password_file} a text file that this user can read"
        raise ConfigurationError(source, "broker.password_file", str(error), remedy) from error


def _tls(settings: Broker, source: str) -> ssl.SSLContext | None:
    if settings.tls is None:
        return None
    check_secret(settings.tls.key_file, "broker.tls.key_file")
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

    def __init__(self, link: Link) -> None:
        self._link = link

    async def subscribe(self, topic_filter: str) -> None:
        answer = await self._ask("subscribing to", topic_filter, mqtt.subscribe)
        if answer[-1] >= 0x80:
            raise Lost(f"subscribing to {topic_filter}: refused with 0x{answer[-1]:02x}")

    async def unsubscribe(self, topic_filter: str) -> None:
        await self._ask("unsubscribing from", topic_filter, mqtt.unsubscribe)

    async def _ask(
        self, doing: str, topic_filter: str, packet: Callable[[int, list[str]], bytes]
    ) -> bytes:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._link.ask(lambda mid: packet(mid, [topic_filter]))
        except TimeoutError as error:
            raise Lost(f"{doing} {topic_filter}: no answer within {ANSWER_S:g} s") from error

    async def messages(self) -> AsyncIterator[Received]:
        """Messages one by one as they come; ends by `Lost` only."""
        while True:
            for message in await self._link.messages():
                yield Received(message)

    async def several(self) -> list[Message]:
        """The same for whoever takes many: what has come, at least one."""
        return await self._link.messages()

    async def acknowledge(self, received: Received) -> None:
        """Give the broker its PUBACK. The order of arrival is the caller's to keep."""
        self._link.acknowledge(received.envelope)

    def acknowledge_all(self, messages: Sequence[Message]) -> None:
        """The same of many."""
        self._link.acknowledge_all(messages)

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

        def answered(code: int) -> None:
            if code >= 0x80:
                refused(f"0x{code:02x}")

        await self._link.publish(
            lambda mid: mqtt.publish(mid, topic, payload, expiry_s, retain), answered
        )

    async def tell(
        self,
        messages: Sequence[tuple[str, bytes]],
        expiry_s: int,
        refused: Callable[[str], None],
    ) -> None:
        """Hand over many short messages (topic, payload) at once, the first at QoS 1 and the others
        at QoS 0: whether the broker lets us say such things is answered once, and what a gateway
        doesn't hear it asks for again."""
        topic, payload = messages[0]
        await self.publish(topic, payload, expiry_s, refused)
        if len(messages) > 1:
            packets = [mqtt.publish(None, name, text, expiry_s) for name, text in messages[1:]]
            await self._link.send(b"".join(packets))


@asynccontextmanager
async def connected(door: Door, client_id: str) -> AsyncIterator[Connection]:
    """A connection, closed with a DISCONNECT at the end.

    Raises:
        Lost: the broker can't be reached or refuses.
    """
    settings, door = door.settings, door.again()
    where, name = f"{settings.host}:{settings.port}", settings.username or None
    hello = mqtt.connect(client_id, settings.keepalive_s, name, door.password, PACKET_BYTES_MAX)
    link = Link(settings.keepalive_s, rest_s=REST_S)
    try:
        try:
            async with asyncio.timeout(ANSWER_S):
                await link.open(settings.host, settings.port, door.tls, hello)
        except TimeoutError as error:
            raise Lost(f"{where}: no answer within {ANSWER_S:g} s") from error
        except (Lost, OSError) as error:
            raise Lost(f"{where}: {error}") from error
        yield Connection(link)
    finally:
        await link.close()
